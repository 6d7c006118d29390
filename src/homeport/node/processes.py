"""A child process that the agent watches without a thread and without polling."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


class Process:
    """A started child: its exit is an event; signals go through its pidfd, so never to a stranger."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._exited = asyncio.Event()
        self._on_exit: list[Callable[[int], None]] = []
        self._pidfd = os.pidfd_open(popen.pid)
        asyncio.get_running_loop().add_reader(self._pidfd, self._reap)

    @property
    def pid(self) -> int:
        """The host's pid of the outermost process."""
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return not self._exited.is_set()

    @property
    def exit_code(self) -> int | None:
        """The exit code; minus the signal's number when a signal ended it; None while it runs."""
        return self._popen.returncode if self._exited.is_set() else None

    def when_exited(self, callback: Callable[[int], None]) -> None:
        """Call `callback(exit_code)` once it has ended."""
        self._on_exit.append(callback)

    async def wait(self) -> int:
        """Wait for the end and return the exit code."""
        await self._exited.wait()
        return self._popen.returncode

    def send(self, number: signal.Signals) -> None:
        """Send a signal to the outermost process."""
        if self.alive:
            signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """Kill it; with `--die-with-parent` and a PID namespace everything inside goes too.

        The whole process group: bubblewrap's inner half does not yet follow its outer half in the first moments.
        """
        if self.alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)  # not yet reaped, so the number is still its own

    def send_inside(self, number: signal.Signals) -> bool:
        """Send a signal to the program inside the sandbox; False when it is not there (yet or any more)."""
        for pid in _program_pids(self.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
            return True
        return False

    def _reap(self) -> None:
        asyncio.get_running_loop().remove_reader(self._pidfd)
        self._popen.wait()
        os.close(self._pidfd)
        self._exited.set()
        for callback in self._on_exit:
            callback(self._popen.returncode)


def start_process(
    line: Sequence[str],
    *,
    environment: Mapping[str, str],
    stdin: int = subprocess.DEVNULL,
    output: int = subprocess.DEVNULL,
    inherited: Sequence[int] = (),
) -> Process:
    """Start a child in a session of its own. `output` takes stdout and stderr; `inherited` stay open in it."""
    return Process(
        subprocess.Popen(
            line,
            env=dict(environment),
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=tuple(inherited),
            start_new_session=True,
        )
    )


def children(pid: int) -> list[int]:
    """Return the direct children of a process, oldest first; none when it is gone."""
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _program_pids(outer: int) -> list[int]:
    """Find the program under bubblewrap: outer monitor → first process of the PID namespace → program."""
    return [program for init in children(outer) for program in children(init)]
