"""Reading attribute values as IIS's schema types them, and the errors of a section (500.19)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from homeport.webconfig.bounds import LONGEST_TEXT, MOST_ENTRIES
from homeport.webconfig.document import Element
from homeport.webconfig.fault import Fault as Fault

Word = TypeVar("Word", bound=StrEnum)

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TIME_SPAN = re.compile(
    r"(?:(?P<days>\d{1,5})\.)?(?P<hours>[01]?\d|2[0-3]):(?P<minutes>[0-5]?\d)(?::(?P<seconds>[0-5]?\d)(?:\.\d+)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The numbers an attribute may have, both ends included (seconds or counts)."""

    least: int
    most: int


def count_entries(section: Element) -> None:
    """Refuse a section with more entries than any site has. Raises `Fault`."""
    if len(section.children) > MOST_ENTRIES:
        raise Fault(
            "too-many-entries",
            f"<{section.name}> has {len(section.children)} entries; it may have {MOST_ENTRIES}.",
            line=section.line,
        )


def required(element: Element, name: str) -> str:
    """Return an attribute that must be written and not be empty. Raises `Fault`."""
    value = element.get(name)
    if not value:
        raise Fault(
            "missing-attribute", f"<{element.name}> has no '{name}', which it must have.", line=element.line
        )
    return value


def boolean(element: Element, name: str, *, default: bool) -> bool:
    """Return a bool attribute, `true` or `false` without case. Raises `Fault`."""
    value = element.get(name)
    if value is None:
        return default
    if value.lower() not in {"true", "false"}:
        raise _wrong(element, name, value, expected="'true' or 'false'")
    return value.lower() == "true"


def number(element: Element, name: str, *, default: int, within: Range) -> int:
    """Return an unsigned attribute. Raises `Fault` for what is no number or out of range."""
    value = element.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and within.least <= int(value[:20]) <= within.most):
        raise _wrong(element, name, value, expected=f"a number from {within.least} to {within.most}")
    return int(value)


def word(element: Element, name: str, *, default: Word) -> Word:
    """Return one of an enumeration's words, without case. Raises `Fault`."""
    value = element.get(name)
    if value is None:
        return default
    for known in type(default):
        if known.value.casefold() == value.strip().casefold():
            return known
    raise _wrong(element, name, value, expected=_one_of([known.value for known in type(default)]))


def flags(
    element: Element, name: str, *, default: frozenset[str], known: Mapping[str, str]
) -> frozenset[str]:
    """Return a comma list of words; `known` maps their lower-case form to the proper one. Raises `Fault`."""
    value = element.get(name)
    if value is None:
        return default
    words = [part.strip().lower() for part in value.split(",")]
    if not all(part in known for part in words):
        raise _wrong(element, name, value, expected=_one_of(list(known.values())))
    return frozenset(known[part] for part in words)


def _one_of(words: list[str]) -> str:
    return "one of " + ", ".join(f"'{known}'" for known in words)


def _wrong(element: Element, name: str, value: str, *, expected: str) -> Fault:
    return Fault(
        "invalid-value",
        f"'{name}' of <{element.name}> is '{value}'; it must be {expected}.",
        line=element.line,
    )


def text(element: Element, name: str, *, default: str = "", most: int = LONGEST_TEXT) -> str:
    """Return a text attribute that is written into the server's configuration.

    Raises `Fault` for control characters and for more than `most` bytes.
    """
    value = element.get(name)
    if value is None:
        return default
    if _CONTROL.search(value) or len(value.encode()) > most:
        raise Fault(
            "invalid-value",
            f"'{name}' of <{element.name}> may have {most} bytes and no control characters.",
            line=element.line,
        )
    return value


def required_text(element: Element, name: str, *, most: int = LONGEST_TEXT) -> str:
    """Return a text attribute that must be written and not be empty. Raises `Fault`."""
    required(element, name)
    return text(element, name, most=most)


def seconds(element: Element, name: str, *, default: int) -> int:
    """Return a timeSpan (`d.hh:mm:ss`, `hh:mm:ss`, `hh:mm` or days) in seconds. Raises `Fault`."""
    value = element.get(name)
    if value is None:
        return default
    found = _TIME_SPAN.fullmatch(value.strip())
    if found is None:
        raise _wrong(element, name, value[:60], expected="a time span such as '1.00:00:00'")
    days, hours, minutes, rest = (
        int(part or 0) for part in found.group("days", "hours", "minutes", "seconds")
    )
    return ((days * 24 + hours) * 60 + minutes) * 60 + rest
