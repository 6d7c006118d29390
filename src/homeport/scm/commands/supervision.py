"""The processes of one command: finding them all, their CPU time, ending them, and the idle timeout.

Kudu reference §1.6. A process belongs to the command when it descends from one that the command started, or
carries the command's mark in its environment: a daemon that left the tree does.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator

import psutil

MARK = "HOMEPORT_COMMAND_ID"
"""The environment variable that marks the processes of one command."""


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a program and to what it started in its process group; nothing where it has ended."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number)


class Family:
    """The processes of one command."""

    def __init__(self) -> None:
        self.mark = secrets.token_hex(16)
        self._started: set[int] = set()

    def add(self, pid: int) -> None:
        """Note a process that was started for the command."""
        self._started.add(pid)

    def remove(self, pid: int) -> None:
        """Forget a process that ended: its number may be used again."""
        self._started.discard(pid)

    def is_running(self) -> bool:
        """Tell whether a program that was started for the command has not ended yet."""
        return bool(self._started)

    def signal(self, number: int) -> None:
        """Send a signal to the programs and to what they started in their process groups."""
        for pid in tuple(self._started):
            signal_group(pid, number)

    def cpu_seconds(self) -> float:
        """Sum the CPU time of the members and of the children that they have waited for."""
        total = 0.0
        for process in self._members():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def kill(self) -> None:
        """Kill every member, again until none is left, since one may have been starting another."""
        for _ in range(10):
            members = self._members()
            for process in members:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            if not members:
                return
            psutil.wait_procs(members, timeout=0.2)

    def _members(self) -> list[psutil.Process]:
        found: dict[int, psutil.Process] = {}
        for process in self._descendants():
            found[process.pid] = process
        for process in psutil.process_iter():
            if process.pid not in found and self._is_marked(process):
                found[process.pid] = process
        return [process for process in found.values() if _is_alive(process)]

    def _descendants(self) -> Iterator[psutil.Process]:
        for pid in tuple(self._started):
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                yield process
                yield from process.children(recursive=True)

    def _is_marked(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get(MARK) == self.mark
        except psutil.Error:
            return False


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


class IdleWatch:
    """Decides when a command is idle: no output, and no CPU time used between two looks one timeout apart."""

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout = timeout_seconds
        self._since = 0.0
        self._activity: float | None = None

    def touch(self, now: float) -> None:
        """Note output at `now` (seconds of a monotonic clock)."""
        self._since = now

    def is_due(self, now: float) -> bool:
        """Whether it has been silent for longer than the timeout, so that the CPU time must be looked at."""
        return now - self._since > self._timeout

    def is_idle(self, activity: float, now: float) -> bool:
        """Judge by what grows with work (CPU time): the first look only sets the mark to compare with."""
        idle = self._activity == activity
        self._activity = activity
        self._since = now
        return idle
