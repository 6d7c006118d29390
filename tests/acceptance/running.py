"""A platform started for a test, and the person at its keyboard."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

HOMEPORT = Path(sys.executable).with_name("homeport")
SAMPLE_WEB_CONFIG = (Path(__file__).parents[2] / "samples/flask/web.config").read_bytes
DEADLINE_SECONDS = 60.0


def eventually(condition: Callable[[], object], *, seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until `condition()` is true, looking often; fail when it is not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {seconds:g} s: {condition}")
        time.sleep(0.02)


@dataclass
class Platform:
    """A running `homeport up`."""

    data: Path
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        """The HTTP port."""
        match = re.search(r":(\d+)", json.loads((self.data / "run.json").read_text())["http"])
        assert match
        return int(match[1])

    def homeport(
        self, *arguments: str, check: bool = True, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the installed command against this platform."""
        done = subprocess.run(
            [str(HOMEPORT), *arguments],
            env={**os.environ, "HOMEPORT_DATA": str(self.data)},
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"homeport {' '.join(arguments)} → {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def json(self, *arguments: str) -> Any:
        """Run the command with --json and read what it prints."""
        return json.loads(self.homeport(*arguments, "--json").stdout)

    def client(self, host: str, **options: Any) -> httpx.Client:
        """Return a client that speaks to this platform under a host name."""
        return httpx.Client(
            base_url=f"http://127.0.0.1:{self.port}",
            headers={"Host": f"{host}:{self.port}"},
            timeout=60,
            **options,
        )

    def get(self, site: str, path: str = "/", **options: Any) -> httpx.Response:
        """GET a page of a site; when nginx takes up a new configuration just now, once only that answers."""
        eventually(self._one_generation)
        with self.client(f"{site}.localhost") as client:
            return client.get(path, **options)

    def _one_generation(self) -> bool:
        """Tell whether only one generation of nginx's workers takes connections; while it reloads, two do."""
        try:
            run = Path(json.loads((self.data / "run.json").read_text())["control_socket"]).parents[1]
            master = int((run / "nginx.pid").read_text())
            workers = Path(f"/proc/{master}/task/{master}/children").read_text().split()
        except (OSError, ValueError):
            return True  # it is being started again
        return sum(not _leaves(pid) for pid in workers) <= len(os.sched_getaffinity(0))

    def scm(self, site: str) -> httpx.Client:
        """Return a client of the SCM site with the site's publishing credentials.

        It keeps no connection: nginx closes idle ones when its configuration changes, maybe just as they are used again.
        """
        publishing = self.json("site", "show", site)["publishing"]
        return self.client(
            f"{site}.scm.localhost",
            auth=(publishing["user"], publishing["password"]),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def write(self, site: str, files: dict[str, str | bytes]) -> None:
        """Put files into a site's content through its SCM site, as a client does."""
        with self.scm(site) as scm:
            for path, content in files.items():
                scm.put(
                    f"/api/vfs/site/wwwroot/{path}", content=content, headers={"If-Match": "*"}
                ).raise_for_status()

    def pid(self, name: str) -> int:
        """Find the host's pid of a part of this platform by what its command line holds."""
        found = self.pids(name)
        assert found, f"no process with '{name}' in its command line"
        return found[0]

    def pids(self, *words: str) -> list[int]:
        """Return the pids of the descendants of this platform whose command line holds every word."""
        return [
            pid for pid, line in descendants(self.process.pid).items() if all(word in line for word in words)
        ]

    def workers(self) -> list[int]:
        """Return the pids of the workers themselves, without the sandboxes around them."""
        lines = descendants(self.process.pid)
        return [
            pid for pid, line in lines.items() if line.startswith("/home/") and "worker/launch.py" in line
        ]

    def stop(self) -> int:
        """Stop it as a service manager does and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def stop_like_a_machine(self) -> None:
        """Kill every process of it at once, as a power cut ends them."""
        for pid in (self.process.pid, *descendants(self.process.pid)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(timeout=15)


def _leaves(pid: str) -> bool:
    try:
        return b"is shutting down" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return True


def descendants(root: int) -> dict[int, str]:
    """Return pid → command line of every process below `root`."""
    parents: dict[int, int] = {}
    lines: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text()
            lines[int(folder.name)] = (
                (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])
        except OSError:
            continue
    below: dict[int, str] = {}
    frontier = [root]
    while frontier:
        current = frontier.pop()
        for pid, parent in parents.items():
            if parent == current and pid not in below:
                below[pid] = lines[pid]
                frontier.append(pid)
    return below


@contextmanager
def running_platform(
    data: Path | None = None, *options: str, before: Sequence[str] = ()
) -> Iterator[Platform]:
    """Start `homeport up` on free ports, wait for its ready line, stop it at the end; `before` are words before it."""
    with tempfile.TemporaryDirectory(prefix="homeport-test-") as folder:
        data = data or Path(folder) / "data"
        process = subprocess.Popen(
            [*before, str(HOMEPORT), "up", "--data", str(data), "--http", "0", "--https", "0", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        platform = Platform(data, process)
        reader = threading.Thread(target=_read, args=(platform,), daemon=True)
        reader.start()
        try:
            if not platform.ready.wait(90):
                logs = "\n".join(
                    f"--- {p.name}\n{p.read_text()[-3000:]}" for p in (data / "logs").glob("*.log")
                )
                raise AssertionError(f"not ready: {platform.lines}\n{logs}")
            yield platform
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            finally:
                reader.join(5)
                assert process.stdout
                process.stdout.close()


def _read(platform: Platform) -> None:
    assert platform.process.stdout
    for line in platform.process.stdout:
        platform.lines.append(line.rstrip("\n"))
        if line.startswith("ready"):
            platform.ready.set()
