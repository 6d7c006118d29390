"""How often one site may make the platform do something that others feel."""

import time


class Allowance:
    """A token bucket: `burst` at once, then one each `seconds_each`."""

    def __init__(self, *, burst: int, seconds_each: float) -> None:
        self._burst = burst
        self._seconds_each = seconds_each
        self._left = float(burst)
        self._counted = time.monotonic()

    def take(self) -> float:
        """Take one and return 0, or return the seconds until there is one again."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._counted) / self._seconds_each)
        self._counted = now
        if self._left >= 1:
            self._left -= 1
            return 0.0
        return (1 - self._left) * self._seconds_each
