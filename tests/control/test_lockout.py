from hypothesis import given
from hypothesis import strategies as st

from homeport.control.lockout import Lockout


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def failing(lockout: Lockout, times: int, address: str = "a") -> None:
    for _ in range(times):
        lockout.failed("hello", address)


def test_a_few_mistakes_block_nobody() -> None:
    lockout = Lockout(Clock())

    failing(lockout, 9)

    assert not lockout.blocked("hello", "a")


def test_the_tenth_mistake_blocks_for_a_second() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    failing(lockout, 10)
    assert lockout.blocked("hello", "a")

    clock.now += 1

    assert not lockout.blocked("hello", "a")


def test_a_block_is_never_longer_than_a_minute() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    failing(lockout, 500)

    clock.now += 60

    assert not lockout.blocked("hello", "a")


def test_another_address_and_another_site_are_not_affected() -> None:
    lockout = Lockout(Clock())

    failing(lockout, 50)

    assert not lockout.blocked("hello", "b")
    assert not lockout.blocked("other", "a")


def test_success_forgets_the_mistakes() -> None:
    lockout = Lockout(Clock())
    failing(lockout, 9)
    lockout.succeeded("hello", "a")

    failing(lockout, 9)

    assert not lockout.blocked("hello", "a")


def test_a_quarter_of_an_hour_forgives() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    failing(lockout, 9)
    clock.now += 900

    failing(lockout, 9)

    assert not lockout.blocked("hello", "a")


def test_an_attacker_with_many_addresses_does_not_fill_the_memory() -> None:
    lockout = Lockout(Clock())

    for number in range(20_000):
        failing(lockout, 1, str(number))

    assert len(lockout._records) == 10_000


@given(st.lists(st.floats(min_value=0, max_value=5), max_size=60))
def test_whatever_happens_a_minute_of_silence_ends_a_block(pauses: list[float]) -> None:
    clock = Clock()
    lockout = Lockout(clock)
    for pause in pauses:
        clock.now += pause
        lockout.failed("hello", "a")

    clock.now += 60

    assert not lockout.blocked("hello", "a")
