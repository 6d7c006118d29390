"""WSGI_RESTART_FILE_REGEX, matched by the agent although a tenant wrote it: bounded in size, repeats and time."""

import re
import time
from collections.abc import Sequence
from math import prod

import regex

_MOST_PATTERNS = 50
_LONGEST = 400
_MOST_REPEATS = 5000
_SECONDS = 0.02
_BURST_SECONDS = 0.1
_REPEAT = re.compile(r"\{(\d{1,9})?,?(\d{1,9})?\}")


class RestartPatterns:
    """The patterns of one site. One that is too large or once took too long matches nothing from then on.

    Time is counted as the processor's: on a busy machine every pattern seems slow.
    """

    def __init__(self) -> None:
        self._compiled: dict[str, regex.Pattern[str] | None] = {}

    def first_match(self, pattern: str, paths: Sequence[str]) -> str | None:
        """Return the first of `paths` (`/`-separated) that the pattern matches from its beginning.

        It is tried as authored for Windows, with backslashes, then with slashes (IIS reference §10.4, rule 10).
        """
        compiled = self._compile(pattern)
        end = time.monotonic() + _BURST_SECONDS
        for path in paths if compiled is not None else ():
            for candidate in dict.fromkeys((path.replace("/", "\\"), path)):
                begun = time.thread_time()
                try:
                    if compiled is not None and compiled.match(candidate, timeout=_SECONDS):
                        return path
                except TimeoutError:
                    if time.thread_time() - begun < _SECONDS / 2:
                        return path  # we were not let to work: to restart once too often is the smaller evil
                    self._compiled[pattern] = None
                    return None
            if time.monotonic() > end:
                return path  # too many to look at: to restart once too often is the smaller evil
        return None

    def _compile(self, pattern: str) -> regex.Pattern[str] | None:
        if pattern not in self._compiled:
            if len(self._compiled) >= _MOST_PATTERNS:
                self._compiled.clear()
            self._compiled[pattern] = _compile(pattern)
        return self._compiled[pattern]


def _compile(pattern: str) -> regex.Pattern[str] | None:
    repeats = prod(int(count) for pair in _REPEAT.findall(pattern) for count in pair if int(count or 0) > 1)
    if not pattern or len(pattern) > _LONGEST or repeats > _MOST_REPEATS:
        return None
    try:
        return regex.compile(pattern)
    except regex.error:
        return None
