"""The rules of a pool, from facts alone."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from homeport.node.pools.decisions import (
    Action,
    Breaker,
    KillWorker,
    PoolFacts,
    PoolLimits,
    StartWorkers,
    StopWorker,
    WorkerFacts,
    WorkerState,
    decide,
)

SECOND = 1_000_000_000
NOW = 10_000 * SECOND
LIMITS = PoolLimits(
    max_instances=4,
    idle_timeout_seconds=300,
    activity_timeout_seconds=70,
    request_timeout_seconds=90,
    startup_seconds=90,
    stop_seconds=90,
    processors=2,
)


def worker(slot: int, state: WorkerState, *, seconds: float = 1, generation: int = 1) -> WorkerFacts:
    since = NOW - int(seconds * SECOND)
    return WorkerFacts(slot=slot, generation=generation, state=state, since=since, last_activity=since)


def facts(
    *workers: WorkerFacts, waiting: float | None = None, rate: float = 0, generation: int = 1
) -> PoolFacts:
    return PoolFacts(
        now=NOW,
        generation=generation,
        workers=workers,
        queued_since=None if waiting is None else NOW - int(waiting * SECOND),
        completed_per_second=rate,
    )


def test_an_empty_pool_that_nobody_asks_for_stays_empty() -> None:
    assert decide(facts(), LIMITS) == ()


def test_the_first_waiting_request_starts_one_worker_at_once() -> None:
    assert decide(facts(waiting=0), LIMITS) == (StartWorkers(1),)


def test_a_request_that_waits_while_a_worker_is_idle_starts_nothing() -> None:
    pool = facts(worker(0, WorkerState.IDLE), worker(1, WorkerState.BUSY), waiting=1)

    assert decide(pool, LIMITS) == ()


def test_requests_that_wait_behind_busy_workers_get_one_more() -> None:
    assert decide(facts(worker(0, WorkerState.BUSY), waiting=0.05), LIMITS) == (StartWorkers(1),)


def test_a_short_wait_is_no_reason_for_one_more() -> None:
    assert decide(facts(worker(0, WorkerState.BUSY), waiting=0.01), LIMITS) == ()


def test_only_one_worker_starts_at_a_time() -> None:
    pool = facts(worker(0, WorkerState.BUSY), worker(1, WorkerState.STARTING), waiting=1)

    assert decide(pool, LIMITS) == ()


def test_max_instances_is_never_exceeded() -> None:
    pool = facts(*(worker(slot, WorkerState.BUSY) for slot in range(4)), waiting=5)

    assert decide(pool, LIMITS) == ()


def test_quick_requests_that_fill_the_processors_get_no_more_workers() -> None:
    pool = facts(worker(0, WorkerState.BUSY), worker(1, WorkerState.BUSY), waiting=1, rate=5000)

    assert decide(pool, LIMITS) == ()


def test_slow_requests_get_more_workers_than_processors() -> None:
    pool = facts(worker(0, WorkerState.BUSY), worker(1, WorkerState.BUSY), waiting=1, rate=4)

    assert decide(pool, LIMITS) == (StartWorkers(1),)


def test_a_request_over_request_timeout_costs_its_process() -> None:
    (action,) = decide(facts(worker(3, WorkerState.BUSY, seconds=91)), LIMITS)

    assert isinstance(action, KillWorker)
    assert (action.slot, "requestTimeout (90 s)" in action.reason) == (3, True)


def test_a_request_silent_over_activity_timeout_costs_its_process() -> None:
    (action,) = decide(facts(worker(3, WorkerState.BUSY, seconds=71)), LIMITS)

    assert isinstance(action, KillWorker)
    assert "activityTimeout (70 s)" in action.reason


def test_a_long_request_that_keeps_sending_lives_until_request_timeout() -> None:
    sending = WorkerFacts(
        slot=0, generation=1, state=WorkerState.BUSY, since=NOW - 80 * SECOND, last_activity=NOW - SECOND
    )

    assert decide(facts(sending), LIMITS) == ()


def test_an_application_that_hangs_at_import_is_killed() -> None:
    (action,) = decide(facts(worker(0, WorkerState.STARTING, seconds=91)), LIMITS)

    assert isinstance(action, KillWorker)


def test_an_idle_worker_goes_after_idle_timeout() -> None:
    (action,) = decide(facts(worker(0, WorkerState.IDLE, seconds=301)), LIMITS)

    assert isinstance(action, StopWorker)


def test_a_worker_that_does_not_stop_is_killed() -> None:
    (action,) = decide(facts(worker(0, WorkerState.STOPPING, seconds=91)), LIMITS)

    assert isinstance(action, KillWorker)


def test_a_new_generation_starts_as_many_workers_as_there_are_old_ones() -> None:
    old = [worker(slot, WorkerState.IDLE) for slot in range(3)]

    assert decide(facts(*old, generation=2), LIMITS) == (StartWorkers(3),)


def test_an_old_worker_stays_until_a_new_one_is_ready() -> None:
    pool = facts(worker(0, WorkerState.IDLE), worker(1, WorkerState.STARTING, generation=2), generation=2)

    assert decide(pool, LIMITS) == ()


def test_an_old_worker_goes_when_a_new_one_is_ready() -> None:
    pool = facts(worker(0, WorkerState.IDLE), worker(1, WorkerState.IDLE, generation=2), generation=2)

    assert [type(action) for action in decide(pool, LIMITS)] == [StopWorker]


def test_a_worker_that_has_not_come_up_goes_at_once_when_a_newer_version_comes() -> None:
    pool = facts(
        worker(0, WorkerState.IDLE),
        worker(1, WorkerState.STARTING, generation=2),
        generation=3,
    )
    assert decide(pool, LIMITS) == (StopWorker(1, "replaced by a newer one"), StartWorkers(1))


def test_no_more_old_workers_are_replaced_than_may_run() -> None:
    """Where the limit was lowered, or too many came together otherwise, replacing goes on all the same."""
    old = [worker(slot, WorkerState.IDLE) for slot in range(6)]
    assert decide(facts(*old, generation=2), LIMITS) == (
        StartWorkers(4),
        *(StopWorker(slot, "replaced by a newer one") for slot in range(2)),
    )


def test_the_idle_one_of_two_old_workers_goes_first() -> None:
    pool = facts(
        worker(0, WorkerState.BUSY),
        worker(1, WorkerState.IDLE),
        worker(2, WorkerState.IDLE, generation=2),
        worker(3, WorkerState.STARTING, generation=2),
        generation=2,
    )

    (action,) = decide(pool, LIMITS)

    assert isinstance(action, StopWorker)
    assert action.slot == 1


def test_a_refused_generation_leaves_the_old_workers_alone() -> None:
    pool = PoolFacts(now=NOW, generation=2, workers=(worker(0, WorkerState.IDLE),), generation_refused=True)

    assert decide(pool, LIMITS) == ()


def test_a_worker_that_served_its_share_is_replaced_before_it_goes() -> None:
    spent = WorkerFacts(
        slot=0, generation=1, state=WorkerState.IDLE, since=NOW - SECOND, last_activity=NOW, requests=200
    )
    limits = replace(LIMITS, max_requests=200)

    assert decide(facts(spent), limits) == (StartWorkers(1),)
    (action,) = decide(facts(spent, worker(1, WorkerState.IDLE)), limits)
    assert action == StopWorker(0, "replaced by a newer one")


def test_a_kill_starts_nothing_in_the_same_breath() -> None:
    """The kill may open the breaker; a worker started beside it would escape that."""
    (action,) = decide(facts(worker(0, WorkerState.STARTING, seconds=91), waiting=90), LIMITS)

    assert isinstance(action, KillWorker)


def test_while_the_breaker_is_open_nothing_starts_and_overdue_workers_still_end() -> None:
    pool = replace(facts(worker(0, WorkerState.BUSY, seconds=91), waiting=1), broken=True)

    assert [type(action) for action in decide(pool, LIMITS)] == [KillWorker]
    assert decide(replace(facts(waiting=1), broken=True), LIMITS) == ()


def carry_out(workers: dict[int, WorkerFacts], actions: Iterable[Action], generation: int) -> None:
    """Make the world as the actions ask, everything that was starting becoming ready."""
    for slot, fact in list(workers.items()):
        if fact.state is WorkerState.STARTING:
            workers[slot] = worker(slot, WorkerState.IDLE, generation=fact.generation)
        if fact.state is WorkerState.STOPPING:
            del workers[slot]
    for action in actions:
        if isinstance(action, StartWorkers):
            for _ in range(action.count):
                slot = next(number for number in range(100) if number not in workers)
                if len(workers) > 2 * LIMITS.max_instances:
                    break  # as the pool bounds its processes
                workers[slot] = worker(slot, WorkerState.STARTING, generation=generation)
        else:
            workers[action.slot] = worker(action.slot, WorkerState.STOPPING)


@given(st.lists(st.sampled_from([WorkerState.IDLE, WorkerState.BUSY]), min_size=1, max_size=4))
def test_replacing_never_serves_with_fewer_workers_and_comes_to_rest(states: list[WorkerState]) -> None:
    workers = {slot: worker(slot, state) for slot, state in enumerate(states)}
    for _ in range(20):
        serving = sum(fact.state in (WorkerState.IDLE, WorkerState.BUSY) for fact in workers.values())
        assert serving >= len(states)
        actions = decide(facts(*workers.values(), generation=2), LIMITS)
        carry_out(workers, actions, 2)

    assert {fact.generation for fact in workers.values()} == {2}
    assert decide(facts(*workers.values(), generation=2), LIMITS) == ()


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=12))
def test_changes_in_quick_succession_end_with_the_newest_version_everywhere(
    count: int, changed: list[bool]
) -> None:
    """Somebody serves all the time; a pool that shrinks meanwhile grows again as requests wait."""
    workers = {slot: worker(slot, WorkerState.IDLE) for slot in range(count)}
    generation = 2
    for change in [*changed, *[False] * 10]:
        assert any(fact.state in (WorkerState.IDLE, WorkerState.BUSY) for fact in workers.values())
        generation += change
        carry_out(workers, decide(facts(*workers.values(), generation=generation), LIMITS), generation)

    assert {fact.generation for fact in workers.values()} == {generation}
    assert len(workers) <= count


@given(
    st.lists(
        st.builds(
            worker,
            st.integers(0, 50),
            st.sampled_from(list(WorkerState)),
            seconds=st.floats(0, 1000),
            generation=st.integers(1, 3),
        ),
        unique_by=lambda fact: fact.slot,
        max_size=8,
    ),
    st.one_of(st.none(), st.floats(0, 100)),
    st.floats(0, 10_000),
)
def test_every_pool_gets_a_decision_that_names_only_its_own_workers(
    workers: list[WorkerFacts], waiting: float | None, rate: float
) -> None:
    actions = decide(facts(*workers, waiting=waiting, rate=rate, generation=3), LIMITS)

    named = [action.slot for action in actions if not isinstance(action, StartWorkers)]
    assert set(named) <= {fact.slot for fact in workers}
    assert len(named) == len(set(named))


def test_three_failed_starts_open_the_breaker() -> None:
    breaker = Breaker(rapid_fails=10)
    for _ in range(3):
        breaker = breaker.failed(NOW, at_start=True)

    assert breaker.is_open(NOW + 4 * SECOND)
    assert not breaker.is_open(NOW + 5 * SECOND)


def test_more_crashes_in_a_minute_than_allowed_open_the_breaker() -> None:
    breaker = Breaker(rapid_fails=10)
    for number in range(11):
        assert not breaker.is_open(NOW)
        breaker = breaker.failed(NOW + number, at_start=False)

    assert breaker.is_open(NOW + SECOND)


def test_crashes_more_than_a_minute_apart_do_not_add_up() -> None:
    breaker = Breaker(rapid_fails=2)
    for number in range(10):
        breaker = breaker.failed(NOW + number * 61 * SECOND, at_start=False)

    assert breaker.open_until == 0


def test_each_opening_lasts_twice_as_long_up_to_a_minute() -> None:
    breaker = Breaker(rapid_fails=10)
    lengths = []
    for _ in range(6):
        for _ in range(3):
            breaker = breaker.failed(NOW, at_start=True)
        lengths.append((breaker.open_until - NOW) / SECOND)

    assert lengths == [5, 10, 20, 40, 60, 60]


def test_a_worker_that_comes_up_closes_the_breaker_for_good() -> None:
    breaker = Breaker(rapid_fails=10)
    for _ in range(3):
        breaker = breaker.failed(NOW, at_start=True)

    assert breaker.succeeded() == Breaker(rapid_fails=10)
