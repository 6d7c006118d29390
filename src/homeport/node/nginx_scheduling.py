"""How nginx's processes share a processor with the workers: who wakes may interrupt, or waits for its turn.

The kernel lets a process that wakes up interrupt the one that runs (SCHED_OTHER). For nginx that is right as long as
there is little to do: each answer leaves at once. Where requests queue, nginx then interrupts a worker more than once
in each request, both find their caches cold, and a third of the time is lost. As a batch process (SCHED_BATCH, `sched(7)`) it
waits until the worker waits or its time slice ends, and finds many things to do at each turn. But beside a program that
never waits, that slice is milliseconds long. So what is better is tried, per process, and kept only while it shows
(decision 13).
"""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

_NANOSECONDS = 1_000_000_000
_MANY_TURNS = 1000
"""Turns a second below which nobody is interrupted often enough to matter."""
_GATHERING = 2.0
"""How many times as much is done at each turn when waiting gathers work; where it does not, the factor is below 1.5."""
_FIRST_PAUSE = 1 * _NANOSECONDS
_LONGEST_PAUSE = 64 * _NANOSECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """What the kernel counted of a process until `at`: nanoseconds on a processor, and how often it got one."""

    at: int
    ran: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How a process is scheduled now. `usual` is its nanoseconds per turn before it became a batch process.

    `pause` is how long after a trial in vain the next one waits, `not_before` when that is; both in nanoseconds.
    """

    batch: bool = False
    proven: bool = False
    usual: float = 0.0
    pause: int = _FIRST_PAUSE
    not_before: int = 0


def next_course(course: Course, before: Turns, now: Turns) -> Course:
    """Decide how the process goes on, from what it did since the last look."""
    turns = now.count - before.count
    many = turns * _NANOSECONDS >= _MANY_TURNS * (now.at - before.at)
    each = (now.ran - before.ran) / turns if turns else 0.0
    if not course.batch:
        if not many or now.at < course.not_before:
            return course
        return replace(course, batch=True, usual=each)
    if each >= _GATHERING * course.usual and turns:
        return replace(course, proven=True)
    if course.proven:
        return Course()
    return Course(pause=min(course.pause * 2, _LONGEST_PAUSE), not_before=now.at + course.pause)


class NginxScheduling:
    """Observes nginx's processes and sets their scheduling policy."""

    def __init__(self) -> None:
        self._courses: dict[int, tuple[Course, Turns]] = {}

    def look(self, pids: Iterable[int]) -> None:
        """Go on with these processes and forget all others. Processes that are gone or not ours stay as they are."""
        courses = {}
        for pid in pids:
            with contextlib.suppress(OSError):
                courses[pid] = self._look(pid)
        self._courses = courses

    def _look(self, pid: int) -> tuple[Course, Turns]:
        now = read_turns(pid)
        known = self._courses.get(pid)
        if known is None:
            # A killed agent may have left it as a batch process.
            _set_policy(pid, batch=False)
            return Course(), now
        course = next_course(known[0], known[1], now)
        if course.batch is not known[0].batch:
            _set_policy(pid, batch=course.batch)
        return course, now


def read_turns(pid: int) -> Turns:
    """Read what the kernel counted. Raises `OSError` when the process is gone or the kernel does not count."""
    ran, _waited, count = Path(f"/proc/{pid}/schedstat").read_text().split()
    return Turns(at=time.monotonic_ns(), ran=int(ran), count=int(count))


def _set_policy(pid: int, *, batch: bool) -> None:
    os.sched_setscheduler(pid, os.SCHED_BATCH if batch else os.SCHED_OTHER, os.sched_param(0))
