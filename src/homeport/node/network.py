"""A site's own network: a namespace with its own loopback, and slirp4netns for the way out.

The site reaches the outside (package indexes, databases, APIs) through a user-mode network stack; the loopback of
the machine, of the platform and of other sites does not exist in its namespace. The stack runs in a bubblewrap of
its own with two capabilities and no files. It lives as long as the site has a process; the namespace may stay longer.
"""

import asyncio
import contextlib
import os
from pathlib import Path

import structlog

from homeport.model.errors import Unavailable
from homeport.node.processes import Process, start_process

_log = structlog.get_logger(__name__)
_READY_SECONDS = 5.0
NAMESERVER = "10.0.2.3"
"""Where slirp4netns answers DNS inside the namespace, with the machine's own resolver behind it."""


class SiteNetwork:
    """The network namespace of one site, made on first use."""

    def __init__(self, mount_point: Path) -> None:
        self.mount_point = mount_point
        self._stack: Process | None = None
        self._made = False
        self._lock = asyncio.Lock()
        self.age = 0
        """How often the namespace has been made: what was set up in an earlier one is gone."""

    @property
    def is_up(self) -> bool:
        """Whether there is a namespace at the moment."""
        return self._made

    async def up(self) -> None:
        """Make the namespace and its way out ready. Raises `Unavailable` when the machine cannot."""
        async with self._lock:
            if self._stack is not None and self._stack.alive:
                return
            await self._end_stack()
            if not self._made:
                await self._make()
            try:
                self._stack = await self._start_stack()
            except Unavailable:
                await self._down()
                raise

    async def rest(self) -> None:
        """End the network stack; what is set up in the namespace stays."""
        async with self._lock:
            await self._end_stack()

    async def down(self) -> None:
        """End the network stack and remove the namespace."""
        async with self._lock:
            await self._down()

    async def _make(self) -> None:
        await self._down()  # what a killed agent left
        self.mount_point.parent.mkdir(parents=True, exist_ok=True)
        self.mount_point.touch()
        await _run("unshare", f"--net={self.mount_point}", "ip", "link", "set", "lo", "up")
        self._made = True
        self.age += 1

    async def _down(self) -> None:
        await self._end_stack()
        self._made = False
        if self.mount_point.exists():
            await remove_namespace(self.mount_point)

    async def _end_stack(self) -> None:
        if self._stack is not None:
            self._stack.kill()
            await self._stack.wait()
            self._stack = None

    async def _start_stack(self) -> Process:
        read_end, write_end = os.pipe()
        try:
            stack = start_process(
                (*_stack_sandbox(self.mount_point), *_stack_program(write_end)),
                environment={"PATH": "/usr/bin:/usr/sbin"},
                inherited=(write_end,),
            )
        finally:
            os.close(write_end)
        try:
            await asyncio.wait_for(_readable(read_end), _READY_SECONDS)
            if not os.read(read_end, 1):
                raise Unavailable("The site's network could not be started: slirp4netns ended at once.")
        except TimeoutError as error:
            stack.kill()
            raise Unavailable(f"The site's network did not come up within {_READY_SECONDS:g} s.") from error
        finally:
            os.close(read_end)
        return stack


def _stack_sandbox(mount_point: Path) -> tuple[str, ...]:
    line = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-ipc", "--unshare-uts"]
    line += ["--cap-drop", "ALL", "--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_NET_ADMIN"]
    line += ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    line += ["--symlink", "usr/lib64", "/lib64", "--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf"]
    line += ["--proc", "/proc", "--dev", "/dev", "--dev-bind", "/dev/net/tun", "/dev/net/tun"]
    return (*line, "--tmpfs", "/tmp", "--ro-bind", str(mount_point), "/namespace", "--")


def _stack_program(ready_fd: int) -> tuple[str, ...]:
    options = ("--configure", "--mtu=65520", "--disable-host-loopback", "--netns-type=path")
    return ("slirp4netns", *options, "-r", str(ready_fd), "/namespace", "tap0")


async def remove_namespace(mount_point: Path) -> None:
    """Unmount and remove one namespace; leftovers of a killed agent are removed the same way."""
    with contextlib.suppress(Unavailable):
        await _run("umount", "--lazy", str(mount_point))
    mount_point.unlink(missing_ok=True)


async def _run(*line: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *line,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise Unavailable(f"'{' '.join(line)}' failed: {errors.decode(errors='replace').strip()}")


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)
