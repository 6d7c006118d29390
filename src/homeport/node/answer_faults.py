"""What nginx found wrong with the answers of a site's own web server: the newest line of its log about that site.

The log is one for all sites, so only lines are taken in whose fixed part stands before the first comma: neither an
answer nor a request can then pass for a line about another site.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

_TAIL_BYTES = 512 * 1024
_NEWEST = timedelta(days=1)
_MOST_CHARACTERS = 300
_KINDS = (
    ("closed", ("upstream prematurely closed connection", "recv() failed")),
    ("timeout", ("upstream timed out",)),
    ("too-large", ("upstream sent too big header",)),
    ("unreadable", ("upstream sent invalid", "upstream sent duplicate", "upstream sent no valid HTTP")),
)
_LINE = re.compile(
    r"^(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[\w+\] \d+#\d+: \*\d+ "
    r"(?P<what>[^,]+?) while reading (?:response header from )?upstream, "
    r'client: [^,]+, server: (?P<server>[^,]+), request: "(?P<request>[^"]*)", upstream: "http://',
    re.MULTILINE,
)


@dataclass(frozen=True, slots=True)
class AnswerFault:
    """`kind` is closed, timeout, too-large or unreadable; `time` is ISO 8601, `request` the request's first line."""

    kind: str
    time: str
    request: str
    said: str


def newest_fault(log: str, *, server: str, now: datetime) -> AnswerFault | None:
    """Find the last fault of a server (by its first name) in the end of nginx's log; None: none within a day."""
    for match in reversed([each for each in _LINE.finditer(log) if each["server"] == server]):
        kind = next((kind for kind, signs in _KINDS if match["what"].startswith(signs)), None)
        time = datetime.strptime(match["time"], "%Y/%m/%d %H:%M:%S").astimezone()  # nginx writes local time
        if now - time > _NEWEST:
            return None
        if kind is not None:
            return AnswerFault(
                kind=kind,
                time=time.astimezone(UTC).isoformat(),
                request=match["request"][:_MOST_CHARACTERS],
                said=match["what"][:_MOST_CHARACTERS],
            )
    return None


def read_end(log: Path) -> str:
    """Return the end of the log, empty where there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
            return file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
