"""Programs that the bench starts: pinned to a core, logged to a file, stopped with everything below them."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from bench.machine import descendants

STOP_SECONDS = 15.0
"""How long a program may take to stop before it is killed."""


class StartError(Exception):
    """A program did not start; the message holds the end of its log."""


class Program:
    """A running program with everything that it has started."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        """The process that was started; it is pinned before it runs its own code."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Say whether the program has ended by itself."""
        return self._process.poll() is not None

    def tail(self) -> str:
        """Give the last lines that the program wrote."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])

    def stop(self, *, within_seconds: float = STOP_SECONDS) -> None:
        """Ask it to end, wait, and kill what is left of it."""
        family = [psutil.Process(pid) for pid in descendants(self.pid)]
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(within_seconds)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(family, timeout=STOP_SECONDS)  # also reaps those that became our own children


def start(
    command: Sequence[str],
    *,
    core: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Program:
    """Start a program on one core; it ends with the bench, whatever ends the bench."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), "setpriv", "--pdeathsig", "TERM", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=clean_environment() | dict(environment or {}),
            start_new_session=True,  # Ctrl-C is the bench's: it stops its programs in order
        )
    return Program(process, log)


def clean_environment() -> dict[str, str]:
    """Give the environment without what would change how the measured programs' Pythons work."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }


@contextlib.contextmanager
def started(
    command: Sequence[str],
    *,
    core: int,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Program]:
    """Start a program for the length of a block."""
    program = start(command, core=core, log=log, environment=environment, folder=folder)
    try:
        yield program
    finally:
        program.stop()


def wait_until(
    condition: Callable[[], bool],
    *,
    seconds: float,
    what: str,
    program: Program | None = None,
    pause: float = 0.01,
) -> None:
    """Wait for a condition. Raises `StartError` when time is up or the program has ended."""
    deadline = time.monotonic() + seconds
    while not condition():
        if program is not None and program.ended:
            raise StartError(f"{what}: the program ended.\n{program.tail()}")
        if time.monotonic() > deadline:
            raise StartError(f"{what}: not within {seconds:g} s.\n{program.tail() if program else ''}")
        time.sleep(pause)


def free_port() -> int:
    """Find a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
