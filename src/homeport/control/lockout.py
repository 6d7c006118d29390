"""Slowing down whoever guesses passwords, one site and one address at a time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FREE_FAILURES = 10
_FIRST_BLOCK_SECONDS = 1.0
_LONGEST_BLOCK_SECONDS = 60.0
_FORGET_SECONDS = 900.0
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    failures: int
    last: float
    blocked_until: float


class Lockout:
    """Remembers failures by (site, address).

    After ten failures each further one blocks the address for that site, twice as long every time, a minute at
    most. Other addresses are not affected, so nobody can lock an owner out from elsewhere. A quarter of an hour
    without failure is forgiven. Memory is bounded: the oldest records go first.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._records: OrderedDict[tuple[str, str], _Record] = OrderedDict()

    def blocked(self, site: str, address: str) -> bool:
        """Tell whether this address must wait before it is heard again."""
        record = self._records.get((site, address))
        return record is not None and self._clock() < record.blocked_until

    def failed(self, site: str, address: str) -> None:
        """Count a failure."""
        now = self._clock()
        before = self._records.pop((site, address), None)
        recent = before is not None and now - before.last < _FORGET_SECONDS
        failures = (before.failures if before is not None and recent else 0) + 1
        block = (
            min(_FIRST_BLOCK_SECONDS * 2.0 ** min(failures - _FREE_FAILURES, 16), _LONGEST_BLOCK_SECONDS)
            if failures >= _FREE_FAILURES
            else 0.0
        )
        self._records[site, address] = _Record(failures=failures, last=now, blocked_until=now + block)
        while len(self._records) > _MOST_REMEMBERED:
            self._records.popitem(last=False)

    def succeeded(self, site: str, address: str) -> None:
        """Forget the failures of this address."""
        self._records.pop((site, address), None)
