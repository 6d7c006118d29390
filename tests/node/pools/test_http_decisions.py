"""What an httpPlatform pool does next."""

import math

from hypothesis import given
from hypothesis import strategies as st

from homeport.node.pools.http_decisions import (
    DrainServer,
    HttpAction,
    HttpPoolFacts,
    HttpPoolLimits,
    KillServer,
    RapidFails,
    ServerFacts,
    ServerState,
    StartServer,
    StopServer,
    decide,
    seconds_until_renewed,
)

SECOND = 1_000_000_000
NOW = 10_000 * SECOND
LIMITS = HttpPoolLimits(processes=4, startup_seconds=60, drain_seconds=90)


def server(
    number: int,
    state: ServerState = ServerState.READY,
    *,
    age: float = 1,
    generation: int = 1,
    connections: int = 0,
    left: float | None = None,
) -> ServerFacts:
    return ServerFacts(
        number=number,
        generation=generation,
        state=state,
        since=NOW - int(age * SECOND),
        connections=connections,
        left_at=None if left is None else NOW - int(left * SECOND),
    )


def decided(
    *servers: ServerFacts, limits: HttpPoolLimits = LIMITS, **facts: object
) -> tuple[HttpAction, ...]:
    values: dict[str, object] = {"now": NOW, "generation": 1, "used_at": NOW, "needed_at": NOW, **facts}
    return decide(HttpPoolFacts(servers=servers, **values), limits)  # type: ignore[arg-type]


def test_nothing_starts_until_a_request_waits() -> None:
    assert decided() == ()
    assert decided(waiting=True) == (StartServer(),)


def test_all_who_wait_share_one_start() -> None:
    assert decided(server(0, ServerState.STARTING), waiting=True, connections=50) == ()


def test_another_process_comes_when_there_are_more_connections_than_processes_for_a_while() -> None:
    assert decided(server(0), connections=2, crowded_since=NOW) == ()
    assert decided(server(0), connections=2, crowded_since=NOW - SECOND) == (StartServer(),)


def test_no_more_processes_start_than_are_allowed() -> None:
    four = [server(number) for number in range(4)]

    assert decided(*four, connections=99, crowded_since=NOW - SECOND) == ()


def test_a_process_that_does_not_listen_in_time_is_killed() -> None:
    (action,) = decided(server(0, ServerState.STARTING, age=61), waiting=True)

    assert isinstance(action, KillServer)
    assert "60 s" in action.reason


def test_a_pool_that_broke_starts_nothing() -> None:
    assert decided(waiting=True, broken=True) == ()
    assert decided(server(0), generation=2, broken=True) == ()


def test_a_new_generation_listens_before_the_old_one_leaves() -> None:
    old = [server(0), server(1)]

    assert decided(*old, generation=2) == (StartServer(),)
    assert decided(*old, server(2, ServerState.STARTING, generation=2), generation=2) == ()
    leaving = decided(*old, server(2, generation=2), generation=2)
    assert [action.number for action in leaving if isinstance(action, DrainServer)] == [0, 1]


def test_the_old_generation_stays_when_the_new_one_did_not_come_up() -> None:
    assert decided(server(0), generation=2, generation_refused=True, crowded_since=NOW - SECOND) == ()


def test_a_draining_process_goes_when_its_last_connection_does_or_its_time_is_up() -> None:
    assert decided(server(0, ServerState.DRAINING, connections=1)) == ()
    assert decided(server(0, ServerState.DRAINING)) == (StopServer(0),)
    assert decided(server(0, ServerState.DRAINING, age=91, connections=1)) == (StopServer(0),)


def test_a_process_that_does_not_obey_is_killed() -> None:
    assert decided(server(0, ServerState.STOPPING, age=9)) == ()
    (action,) = decided(server(0, ServerState.STOPPING, age=11))
    assert isinstance(action, KillServer)


def test_while_the_site_is_offline_no_process_stays_or_comes() -> None:
    (action,) = decided(server(0), offline=True)

    assert isinstance(action, DrainServer)
    assert decided(offline=True, waiting=True) == ()


def test_an_unused_pool_ends_altogether() -> None:
    long_ago = NOW - 1201 * SECOND

    actions = decided(server(0), server(1), used_at=long_ago, needed_at=long_ago)

    assert [action.number for action in actions if isinstance(action, DrainServer)] == [0, 1]


def test_a_pool_that_is_larger_than_it_needs_gives_its_newest_process_back() -> None:
    long_ago = NOW - 1201 * SECOND

    (action,) = decided(server(0, age=50), server(1, age=5), connections=1, needed_at=long_ago)

    assert isinstance(action, DrainServer)
    assert action.number == 1
    assert decided(server(0), connections=0, needed_at=long_ago) == ()


def test_more_failures_within_a_minute_than_allowed_refuse_starts_until_it_is_over() -> None:
    fails = RapidFails(most=2).failed(NOW).failed(NOW + SECOND)
    assert not fails.refuses(NOW + SECOND)

    fails = fails.failed(NOW + 2 * SECOND)

    assert fails.refuses(NOW + 59 * SECOND)
    assert not fails.refuses(NOW + 60 * SECOND)
    assert fails.failed(NOW + 61 * SECOND).count == 1


FACTS = st.builds(
    ServerFacts,
    number=st.integers(0, 7),
    generation=st.integers(1, 2),
    state=st.sampled_from(ServerState),
    since=st.integers(NOW - 2000 * SECOND, NOW),
    connections=st.integers(0, 3),
)


@given(
    servers=st.lists(FACTS, max_size=8, unique_by=lambda one: one.number),
    waiting=st.booleans(),
    broken=st.booleans(),
    offline=st.booleans(),
    refused=st.booleans(),
    connections=st.integers(0, 100),
    crowded=st.booleans(),
)
def test_whatever_happens_limits_hold_and_no_process_is_told_twice(
    servers: list[ServerFacts],
    waiting: bool,
    broken: bool,
    offline: bool,
    refused: bool,
    connections: int,
    crowded: bool,
) -> None:
    actions = decided(
        *servers,
        generation=2,
        waiting=waiting,
        broken=broken,
        offline=offline,
        generation_refused=refused,
        connections=connections,
        crowded_since=NOW - SECOND if crowded else None,
    )

    told = [action.number for action in actions if not isinstance(action, StartServer)]
    starts = len(actions) - len(told)
    current = [one for one in servers if one.state in (ServerState.STARTING, ServerState.READY)]
    assert len(told) == len(set(told))
    assert set(told) <= {one.number for one in servers}
    assert starts <= 1
    if starts:
        assert not broken
        assert not offline
        assert sum(one.generation == 2 for one in current) < LIMITS.processes


def until_renewed(*servers: ServerFacts, refused: bool = False) -> float:
    return seconds_until_renewed(
        HttpPoolFacts(now=NOW, generation=2, servers=servers, generation_refused=refused)
    )


def test_a_pool_is_renewed_where_no_older_process_serves() -> None:
    assert until_renewed() == 0
    assert until_renewed(server(1, generation=2)) == 0
    assert until_renewed(server(0, ServerState.STOPPING, left=0), server(1, generation=2)) == 0


def test_an_older_process_that_serves_is_waited_for() -> None:
    assert until_renewed(server(0)) == math.inf
    assert until_renewed(server(0, ServerState.STARTING)) == math.inf
    assert until_renewed(server(0, ServerState.DRAINING), server(1, generation=2)) == math.inf


def test_an_older_process_counts_as_long_as_nginx_may_use_a_connection_to_it() -> None:
    newer = server(2, generation=2)

    assert until_renewed(server(0, ServerState.DRAINING, left=1), newer) == 2
    assert until_renewed(server(0, ServerState.DRAINING, left=1, connections=9), newer) == 2
    assert until_renewed(server(0, ServerState.DRAINING, left=3, connections=1), newer) == 0
    both = (server(0, ServerState.DRAINING, left=2), server(1, ServerState.DRAINING, left=1))
    assert until_renewed(*both, newer) == 2


def test_nothing_is_waited_for_where_the_new_version_does_not_start() -> None:
    assert until_renewed(server(0), refused=True) == 0
