"""`homeport up`: three children kept alive in the foreground: the agent, nginx and the control plane.

The supervisor holds no state and serves nothing, so there is little in it that can fail. A child that ends is
started again; a child whose supervisor was killed notices (its standard input ends, or bubblewrap's
`--die-with-parent`) and ends too, so nothing is left behind.
"""

import asyncio
import contextlib
import fcntl
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import structlog

from homeport.model.errors import Conflict, HomeportError, Invalid, Unavailable
from homeport.node.agent import web_group
from homeport.node.certificates import FTP_CERTIFICATE
from homeport.node.cgroups import find_cgroups
from homeport.node.control_sandbox import CONTROL_UID, control_line, ftp_front_line
from homeport.node.front import inherited_sockets, listening, make_front
from homeport.node.layout import NodeLayout, node_layout
from homeport.node.link_refusal import mounts_refuse_links, without_links
from homeport.node.options import PlatformOptions
from homeport.node.processes import Process, children, start_process
from homeport.node.sandbox import TRUSTED_ENVIRONMENT
from homeport.node.state_file import write_state

_log = structlog.get_logger(__name__)
_PROGRAMS = {
    "nginx": "nginx-light",
    "bwrap": "bubblewrap",
    "perl": "perl-base",
    "setpriv": "util-linux",
    "slirp4netns": "slirp4netns",
    "ip": "iproute2",
    "nft": "nftables",
}
_PORT_OPTIONS = "--http, --https, --ftp or --ftps"
_READY_SECONDS = 60.0
_STOP_SECONDS = {"control": 3.0, "nginx": 2.0, "agent": 4.0, "ftp": 2.0}
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 10.0
_POLL_SECONDS = 0.01


class Child:
    """One process kept alive: started again when it ends, sooner the longer it had run."""

    def __init__(self, name: str, start: Callable[[], Awaitable[Process]]) -> None:
        self.name = name
        self._start = start
        self._process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises a `HomeportError`."""
        self._process = await self._start()

    async def keep(self) -> None:
        """Start it again whenever it ends, until cancelled."""
        pause = _FIRST_PAUSE_SECONDS
        while self._process is not None:
            started = time.monotonic()
            code = await self._process.wait()
            _log.error("child.ended", child=self.name, code=code)
            pause = next_pause(pause, lived=time.monotonic() - started)
            while not await self._started_again(pause):
                pause = next_pause(pause, lived=0.0)

    async def stop(self, number: signal.Signals) -> None:
        """Ask it to end, and kill it when it does not in time."""
        if self._process is None or not self._process.alive:
            return
        if not (self.name == "nginx" and self._process.send_inside(number)):
            self._process.send(number)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS[self.name])
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _started_again(self, pause: float) -> bool:
        await asyncio.sleep(pause)
        try:
            await self.start()
        except (HomeportError, OSError) as error:
            _log.error("child.not-started", child=self.name, reason=str(error))
            return False
        _log.info("child.started-again", child=self.name)
        return True


def _pass_no_ignored_signal_on() -> None:
    """Let what `nohup` has ignored count for this process only: sites' programs must be able to hear of it.

    Children inherit that a signal is ignored, but no handler, be it an empty one.
    """
    for number in (signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def next_pause(pause: float, *, lived: float) -> float:
    """Return the seconds to wait before a process that ended is started again, from the last pause and its life."""
    return _FIRST_PAUSE_SECONDS if lived > _LONGEST_PAUSE_SECONDS else min(pause * 2, _LONGEST_PAUSE_SECONDS)


class Supervisor:
    """Starts the platform, keeps it alive, stops it."""

    def __init__(self, options: PlatformOptions, *, say: Callable[[str], None]) -> None:
        self._options = replace(
            options,
            http_port=_port(options, options.http_port),
            https_port=_port(options, options.https_port),
            ftp_port=_port_or_none(options, options.ftp_port),
            ftps_port=_port_or_none(options, options.ftps_port),
        )
        self._layout = node_layout(options.data)
        self._say = say
        self._listeners: tuple[int, ...] = ()
        self._ftp_listeners: tuple[int, ...] = ()
        self._ftps_listeners: tuple[int, ...] = ()
        self._children = [
            Child("agent", self._start_agent),
            Child("nginx", self._start_nginx),
            Child("control", self._start_control),
        ]
        if options.serves_ftp:
            self._children.append(Child("ftp", self._start_ftp))

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises a `HomeportError` when the platform cannot be started."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        _pass_no_ignored_signal_on()
        _check_programs()
        _raise_open_files()
        with _only_one(self._layout):
            _make_folders(self._layout)
            _clean(self._layout)
            refused = mounts_refuse_links(self._layout.nginx)
            self._options = replace(self._options, mounts_refuse_links=refused)
            with self._front(), self._ftp():
                await self._run_children(stop)

    async def _run_children(self, stop: asyncio.Event) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                serving = tasks.create_task(self._serve())
                stopping = tasks.create_task(stop.wait())
                await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
                serving.cancel()
                stopping.cancel()
        except* HomeportError as group:
            raise group.exceptions[0] from None
        finally:
            await self._stop()
            _clean(self._layout)

    @contextlib.contextmanager
    def _front(self) -> Iterator[None]:
        """As root, give nginx a network of its own and its listening sockets; otherwise it opens them itself."""
        if os.geteuid() != 0:
            yield
            return
        make_front(self._layout.front)
        options = self._options
        with listening(options.addresses, (options.http_port, options.https_port)) as self._listeners:
            yield

    @contextlib.contextmanager
    def _ftp(self) -> Iterator[None]:
        """Listen for FTP; who connects while its process is being started waits."""
        addresses, options = self._options.addresses, self._options
        with (
            listening(addresses, _given(options.ftp_port)) as self._ftp_listeners,
            listening(addresses, _given(options.ftps_port)) as self._ftps_listeners,
        ):
            yield

    async def _serve(self) -> None:
        for child in self._children:
            await child.start()
        self._announce()
        async with asyncio.TaskGroup() as keepers:
            for child in self._children:
                keepers.create_task(child.keep())

    def _announce(self) -> None:
        options = self._options
        http, https = (
            f"http://{options.domain}:{options.http_port}",
            f"https://{options.domain}:{options.https_port}",
        )
        write_state(
            self._layout.location,
            {
                "control_socket": str(self._layout.control_socket),
                "http": http,
                "https": https,
                **({"ftp": options.ftp_port} if options.ftp_port is not None else {}),
                **({"ftps": options.ftps_port} if options.ftps_port is not None else {}),
                "domain": options.domain,
                "pid": os.getpid(),
            },
            mode=0o644,
        )
        self._say(f"http   {http}  (sites: http://SITE.{options.domain}:{options.http_port})")
        self._say(f"https  {https}  (authority to trust: {self._layout.tls / 'ca.pem'})")
        self._say(f"scm    http://SITE.scm.{options.domain}:{options.http_port}")
        for scheme, port, tls in (
            ("ftp", options.ftp_port, "explicit"),
            ("ftps", options.ftps_port, "implicit"),
        ):
            if port is not None:
                self._say(f"{scheme:<7}{scheme}://ftp.{options.domain}:{port}  ({tls} TLS)")
        for limit in find_cgroups(self._layout.run.name).missing if os.geteuid() == 0 else ():
            self._say(f"note   this machine offers no {limit}: sites run without it")
        if os.geteuid() != 0:
            self._say("note   not root: all sites share one user and the machine's network, without limits")
        self._say("ready")

    async def _start_agent(self) -> Process:
        line = (sys.executable, "-m", "homeport.node", self._options.to_json())
        return await self._start_ours("agent", line, self._layout.agent_socket)

    async def _start_control(self) -> Process:
        layout = self._layout
        line = ["--data", str(layout.data)]
        line += ["--agent-socket", str(layout.agent_socket), "--socket", str(layout.control_socket)]
        line += ["--auth-socket", str(layout.auth_socket), "--domain", self._options.domain]
        line += ["--http-port", str(self._options.http_port), "--https-port", str(self._options.https_port)]
        for name, port in (("ftp", self._options.ftp_port), ("ftps", self._options.ftps_port)):
            if port is not None:
                line += [f"--{name}-port", str(port)]
        sandboxed = control_line(layout, line, web_group=web_group())
        return await self._start_ours("control", sandboxed, layout.control_socket)

    async def _start_ours(self, name: str, line: tuple[str, ...], ready: Path) -> Process:
        """Start one of our own servers; it is ready when its socket takes connections."""
        ready.unlink(missing_ok=True)
        with (self._layout.logs / f"{name}.log").open("ab") as log:
            # The child ends when its standard input does: that is how it notices that we were killed.
            process = start_process(
                line,
                environment=TRUSTED_ENVIRONMENT | _own_environment(),
                stdin=subprocess.PIPE,
                output=log.fileno(),
            )
        await self._await_ready(name, process, lambda: _accepts(socket.AF_UNIX, str(ready)))
        return process

    async def _start_ftp(self) -> Process:
        """Start the FTP front; its listening sockets take connections already."""
        layout, inherited = self._layout, (*self._ftp_listeners, *self._ftps_listeners)
        first, last = self._options.ftp_passive
        arguments = ["--auth-socket", str(layout.auth_socket), "--sites", str(layout.ftp_sockets)]
        arguments += ["--certificate", str(layout.ftp_certificates / FTP_CERTIFICATE)]
        arguments += ["--explicit", ",".join(map(str, self._ftp_listeners))]
        arguments += ["--implicit", ",".join(map(str, self._ftps_listeners))]
        arguments += ["--passive-first", str(first), "--passive-last", str(last)]
        with (layout.logs / "ftp.log").open("ab") as log:
            return start_process(
                ftp_front_line(layout, arguments, web_group=web_group()),
                environment=TRUSTED_ENVIRONMENT | _own_environment(),
                stdin=subprocess.PIPE,
                output=log.fileno(),
                inherited=inherited,
            )

    async def _start_nginx(self) -> Process:
        layout = self._layout
        layout.nginx_pid.unlink(missing_ok=True)
        for left in layout.applications.glob(
            "*.sock"
        ):  # by one that was killed: it could not listen there again
            left.unlink(missing_ok=True)
        config = str(layout.nginx / "nginx.conf")
        line = [] if os.geteuid() != 0 else ["nsenter", f"--net={layout.front}"]
        line += ["bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--unshare-pid", "--proc", "/proc"]
        for folder, view in (
            (layout.sites, layout.content),
            (layout.spool, layout.spool_view),
            (layout.certificates, layout.certificates_view),
        ):
            line += ["--bind", str(folder), str(view)]
        program: tuple[str, ...] = ("nginx", "-p", str(layout.nginx), "-c", config)
        if self._options.mounts_refuse_links:
            program = without_links(layout.content, program)
        line += ["--", *program]
        with (layout.logs / "nginx.log").open("ab") as log:
            process = start_process(
                line,
                environment=os.environ | (inherited_sockets(self._listeners) if self._listeners else {}),
                output=log.fileno(),
                inherited=self._listeners,
            )
        address = self._options.addresses[0], self._options.http_port
        await self._await_ready("nginx", process, lambda: _answers(*address))
        layout.nginx_pid.write_text(str(_nginx_master(process.pid)))
        return process

    async def _await_ready(self, name: str, process: Process, is_ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not is_ready():
            if not process.alive:
                raise Unavailable(
                    f"{name} ended at its start; its log says:\n{_tail(self._layout.logs / name)}"
                )
            if time.monotonic() > deadline:
                process.kill()
                raise Unavailable(
                    f"{name} was not ready within {_READY_SECONDS:g} s; see {self._layout.logs / name}.log"
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _stop(self) -> None:
        for child in reversed(self._children):
            await child.stop(signal.SIGTERM)
        self._layout.location.unlink(missing_ok=True)


def run(options: PlatformOptions, *, say: Callable[[str], None]) -> None:
    """Run the platform in the foreground until it is told to stop. Raises a `HomeportError`."""
    asyncio.run(Supervisor(options, say=say).run())


def _check_programs() -> None:
    needed = (
        _PROGRAMS if os.geteuid() == 0 else {name: _PROGRAMS[name] for name in ("nginx", "bwrap", "perl")}
    )
    missing = [package for program, package in needed.items() if _which(program) is None]
    if missing:
        raise Unavailable(f"Missing programs; install them with: apt-get install {' '.join(sorted(missing))}")


def _raise_open_files() -> None:
    """Let every child open as many files as this machine allows: a thousand sites are some thousand sockets."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _which(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def _given(port: int | None) -> tuple[int, ...]:
    return () if port is None else (port,)


def _port_or_none(options: PlatformOptions, port: int | None) -> int | None:
    return None if port is None else _port(options, port)


def _port(options: PlatformOptions, port: int) -> int:
    """Return a port that is free on the first address; 0 asks the kernel for one. Raises `Conflict`."""
    address = options.addresses[0]
    with socket.socket(socket.AF_INET6 if address.startswith("[") else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.strip("[]"), port))
        except PermissionError as error:
            raise Invalid(f"Port {port} needs root; choose another with {_PORT_OPTIONS}.") from error
        except OSError as error:
            raise Conflict(
                f"Port {port} is in use; choose another with {_PORT_OPTIONS}, 0 picks a free one."
            ) from error
        taken: int = probe.getsockname()[1]
        return taken


@contextlib.contextmanager
def _only_one(layout: NodeLayout) -> Iterator[None]:
    layout.data.mkdir(parents=True, exist_ok=True)
    with (layout.data / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"A platform already runs on {layout.data}; stop it or name another --data."
            ) from error
        yield


def _make_folders(layout: NodeLayout) -> None:
    passed = (
        *(layout.run, layout.sockets, layout.ftp_sockets, layout.nginx),
        *(layout.content, layout.spool, layout.spool_view, layout.certificates_view),
    )
    control = (layout.control, layout.control_socket.parent)
    for folder in (
        layout.sites,
        layout.logs,
        layout.namespaces,
        layout.agent_socket.parent,
        *control,
        *passed,
    ):
        folder.mkdir(parents=True, exist_ok=True)
    for folder in (layout.run.parent, layout.agent_socket.parent, layout.control_socket.parent, *passed):
        folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    layout.applications.mkdir(exist_ok=True)
    layout.applications.chmod(0o710 if os.geteuid() == 0 else 0o700)
    if (group := web_group()) is not None:
        os.chown(layout.applications, -1, group)
    layout.control.chmod(0o700)
    layout.logs.chmod(0o700)
    if os.geteuid() == 0:
        for folder in control:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, CONTROL_UID, -1, follow_symlinks=False)


def _clean(layout: NodeLayout) -> None:
    """Remove what a killed platform left on the machine: namespaces and sockets. Its processes ended with it."""
    for mount_point in layout.namespaces.iterdir():
        subprocess.run(("umount", "--lazy", mount_point), check=False, stderr=subprocess.DEVNULL)
        mount_point.unlink(missing_ok=True)
    for path in (*layout.sockets.iterdir(), *layout.run.glob("*/*.sock"), layout.nginx_pid):
        path.unlink(missing_ok=True)


def _nginx_master(bubblewrap: int) -> int:
    """Find the host's pid of the master: bubblewrap → first process of the namespace → nginx."""
    return next(master for init in children(bubblewrap) for master in children(init))


def _answers(address: str, port: int) -> bool:
    """Ask for a page: that the socket takes connections says nothing while nginx is being started."""
    host = {"0.0.0.0": "127.0.0.1", "[::]": "::1"}.get(address, address.strip("[]"))  # noqa: S104
    with contextlib.suppress(OSError), socket.create_connection((host, port), 0.2) as probe:
        probe.settimeout(0.5)
        probe.sendall(b"HEAD / HTTP/1.0\r\n\r\n")
        return probe.recv(1) != b""
    return False


def _accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    with socket.socket(family) as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(address) == 0


def _own_environment() -> dict[str, str]:
    """Return what our own children take over: our options, where the system keeps its certificates and our sockets lie."""
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("HOMEPORT_", "SSL_CERT", "PYENV_", "XDG_RUNTIME_DIR"))
    }


def _tail(log: Path) -> str:
    path = log.with_suffix(".log")
    return "\n".join(path.read_text(errors="replace").splitlines()[-8:]) if path.exists() else ""
