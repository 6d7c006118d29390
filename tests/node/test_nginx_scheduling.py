"""How nginx's processes are scheduled: decided from what they did, set in the kernel."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.node.nginx_scheduling import Course, NginxScheduling, Turns, next_course, read_turns

SECOND = 1_000_000_000
LOOK = SECOND // 20


class Process:
    """A process as the kernel would count it; each look is a twentieth of a second after the last one."""

    def __init__(self) -> None:
        self.course = Course()
        self.turns = Turns(at=0, ran=0, count=0)

    def spend(self, *, turns: int, each: int) -> bool:
        """Go on with so many turns of `each` nanoseconds; tell whether it is a batch process now."""
        now = Turns(
            at=self.turns.at + LOOK, ran=self.turns.ran + turns * each, count=self.turns.count + turns
        )
        self.course = next_course(self.course, self.turns, now)
        self.turns = now
        return self.course.batch


def test_a_process_with_little_to_do_may_interrupt() -> None:
    assert not any(Process().spend(turns=turns, each=20_000) for turns in (0, 1, 49))


def test_where_waiting_gathers_work_it_goes_on_waiting_until_the_load_ends() -> None:
    process = Process()

    assert process.spend(turns=500, each=20_000)
    assert all(process.spend(turns=40, each=200_000) for _ in range(100))
    assert not process.spend(turns=0, each=0)
    assert process.spend(turns=500, each=20_000), "the next load is met without a pause"


def test_where_waiting_gathers_nothing_trials_become_rare() -> None:
    process = Process()
    looks = [process.spend(turns=500, each=20_000) for _ in range(120 * 20)]

    begun = [number for number in range(len(looks)) if looks[number]]
    assert [second // 20 for second in begun] == [0, 1, 3, 7, 15, 31, 63]
    assert all(not looks[number + 1] for number in begun)


def test_beside_a_program_that_never_waits_it_may_interrupt_again_at_once() -> None:
    process = Process()

    assert process.spend(turns=500, each=20_000)
    assert not process.spend(turns=12, each=20_000)


@given(
    st.lists(
        st.tuples(st.integers(min_value=0, max_value=5000), st.integers(min_value=0, max_value=4_000_000))
    )
)
def test_a_process_waits_only_while_it_is_tried_or_gathers_work(spent: list[tuple[int, int]]) -> None:
    process = Process()
    waited = False
    for turns, each in spent:
        usual = process.course.usual
        waits = process.spend(turns=turns, each=each)
        if waited and waits:
            assert turns
            assert each >= 2 * usual
        waited = waits


@pytest.fixture
def child() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.kill()


def test_a_process_left_waiting_by_a_killed_agent_may_interrupt_again(child: int) -> None:
    os.sched_setscheduler(child, os.SCHED_BATCH, os.sched_param(0))

    NginxScheduling().look([child])

    assert os.sched_getscheduler(child) == os.SCHED_OTHER


def test_the_kernel_is_told_what_was_decided(child: int, monkeypatch: pytest.MonkeyPatch) -> None:
    scheduling = NginxScheduling()
    counted = iter(
        [
            Turns(at=0, ran=0, count=0),
            Turns(at=LOOK, ran=20_000, count=500),
            Turns(at=2 * LOOK, ran=20_000, count=500),
        ]
    )
    monkeypatch.setattr("homeport.node.nginx_scheduling.read_turns", lambda _pid: next(counted))

    seen = []
    for _ in range(3):
        scheduling.look([child])
        seen.append(os.sched_getscheduler(child))

    assert seen == [os.SCHED_OTHER, os.SCHED_BATCH, os.SCHED_OTHER]


def test_turns_are_those_that_the_kernel_counts() -> None:
    before = read_turns(os.getpid())
    os.sched_yield()
    sum(range(100_000))
    after = read_turns(os.getpid())

    assert after.ran > before.ran
    assert after.count >= before.count
    assert after.at > before.at


def test_processes_that_are_gone_are_passed_over() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()

    NginxScheduling().look([process.pid])

    assert not Path(f"/proc/{process.pid}").exists()
