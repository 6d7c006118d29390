"""Entity tags and ranges: what a conditional request asks for (Kudu reference §2.1, §2.3, §2.4).

Pure: header texts in, decisions out.
"""

import re
from dataclasses import dataclass

from homeport.scm.dotnet_time import ticks

MOST_RANGES = 100
"""A request for more ranges than this gets the whole file: overlapping ranges would multiply the answer."""

_TAG = re.compile(r'\s*(W/)?("(?:[^"])*")\s*(?:,|$)')
_RANGE = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        """The number of bytes."""
        return self.last - self.first + 1


def entity_tag(modified_ns: int) -> str:
    """Return the strong tag of a file last written at `modified_ns`: its .NET ticks, little-endian, in hexadecimal."""
    value = max(ticks(modified_ns), 0)
    return f'"{value.to_bytes(8, "little").hex()}"'


def matches(header: str | None, tag: str) -> bool:
    """Tell whether `If-Match` or `If-None-Match` names the tag: strong comparison, `*` names every one."""
    if header is None:
        return False
    if header.strip() == "*":
        return True
    return any(not match[1] and match[2] == tag for match in _TAG.finditer(header))


def parse_ranges(header: str | None, length: int) -> list[Span] | None:
    """Return the spans of a `Range` header that a file of `length` bytes can satisfy, in the order asked for.

    None means that there is no range request (no header, another unit, malformed, too many); an empty list that
    none of the ranges can be satisfied.
    """
    if header is None:
        return None
    unit, equals, text = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    asked = text.split(",")
    spans = [_span(part, length) for part in asked]
    if len(asked) > MOST_RANGES or "malformed" in spans:
        return None
    return [span for span in spans if isinstance(span, Span)]


def _span(text: str, length: int) -> Span | str:
    match = _RANGE.fullmatch(text)
    if match is None or not (match[1] or match[2]):
        return "malformed"
    if not match[1]:
        count = min(int(match[2]), length)
        return Span(length - count, length - 1) if count else "unsatisfiable"
    first = int(match[1])
    if match[2] and int(match[2]) < first:
        return "malformed"
    if first >= length:
        return "unsatisfiable"
    return Span(first, min(int(match[2]), length - 1) if match[2] else length - 1)
