"""Tables of what web.config may hold and how far each piece is honoured; and checking a document against them."""

import difflib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from homeport.model.finding import Finding, Severity
from homeport.webconfig.bounds import MOST_FINDINGS
from homeport.webconfig.document import Document, Element

LOCK_ATTRIBUTES = frozenset(
    {"lockAllAttributesExcept", "lockAllElementsExcept", "lockAttributes", "lockElements", "lockItem"}
)
"""Attributes that every element may have."""


class Support(StrEnum):
    """How far a piece of web.config is honoured."""

    FULL = "full"
    PARTIAL = "partial"
    ABSENT = "absent"
    """Known, and meant to be honoured: a finding says that it is not yet."""
    IRRELEVANT = "irrelevant"
    """Concerns .NET or the Windows machine only: it changes nothing for a Python site and is passed over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeRow:
    """One attribute; `note` tells what differs from IIS."""

    name: str
    support: Support = Support.FULL
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementRow:
    """One element. The inside of an element that is ABSENT or IRRELEVANT is not looked at."""

    name: str
    support: Support = Support.FULL
    attributes: tuple[AttributeRow, ...] = ()
    children: tuple["ElementRow", ...] = ()
    note: str = ""


def full(*names: str) -> tuple[AttributeRow, ...]:
    """Make rows for attributes that are honoured as IIS does."""
    return tuple(AttributeRow(name=name) for name in names)


def absent(*names: str) -> tuple[ElementRow, ...]:
    """Make rows for elements that are known and not honoured yet."""
    return tuple(ElementRow(name=name, support=Support.ABSENT) for name in names)


def irrelevant(*names: str) -> tuple[ElementRow, ...]:
    """Make rows for elements that mean nothing to a Python site."""
    return tuple(ElementRow(name=name, support=Support.IRRELEVANT) for name in names)


def check_document(document: Document, table: ElementRow) -> list[Finding]:
    """Say what in the document is unknown or not honoured, with lines; a long list is cut off."""
    declared = frozenset(_declared_sections(document.root))
    findings = _check(document.root, table, file=document.file, path="", declared=declared)
    return list(itertools.islice(findings, MOST_FINDINGS))


def _declared_sections(root: Element) -> Iterator[str]:
    """Name the sections that <configSections> declares: .NET reads them, and they are no mistake."""
    for sections in root.named("configSections"):
        for element in sections.below():
            name = element.get("name")
            if element.name in {"section", "sectionGroup"} and name:
                yield name


def _check(
    element: Element, row: ElementRow, *, file: str, path: str, declared: frozenset[str]
) -> Iterator[Finding]:
    here = f"{path}/{element.name}".lstrip("/")
    for name, _ in element.attributes:
        if name in LOCK_ATTRIBUTES:
            continue
        yield from _check_attribute(name, element, row, file=file)
    rows = {child.name: child for child in row.children}
    for child in element.children:
        known = rows.get(child.name)
        if known is None:
            if child.name not in declared:
                yield _unknown_element(child, parent=here, rows=rows, file=file)
        elif known.support is Support.ABSENT:
            yield _not_honoured(f"<{child.name}>", note=known.note, file=file, line=child.line)
        elif known.support is not Support.IRRELEVANT:
            yield from _check(child, known, file=file, path=here, declared=declared)


def _check_attribute(name: str, element: Element, row: ElementRow, *, file: str) -> Iterator[Finding]:
    known = next((candidate for candidate in row.attributes if candidate.name == name), None)
    if known is None:
        yield Finding(
            severity=Severity.WARNING,
            code="webconfig.unknown-attribute",
            message=f"<{element.name}> has no attribute '{_shown(name)}'; IIS answers 500.19 to it.",
            file=file,
            line=element.line,
            remedy=_suggestion(name, [candidate.name for candidate in row.attributes]),
        )
    elif known.support is Support.ABSENT:
        yield _not_honoured(
            f"The attribute '{name}' of <{element.name}>", note=known.note, file=file, line=element.line
        )


def _unknown_element(child: Element, *, parent: str, rows: dict[str, ElementRow], file: str) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.unknown-element",
        message=f"<{_shown(child.name)}> is unknown in <{parent.rpartition('/')[2]}>; it changes nothing here.",
        file=file,
        line=child.line,
        remedy=_suggestion(child.name, list(rows)) or "Remove it, or correct its name.",
    )


def _not_honoured(what: str, *, note: str, file: str, line: int) -> Finding:
    return Finding(
        severity=Severity.WARNING,
        code="webconfig.not-honoured",
        message=f"{what} is recognised, not honoured yet.",
        file=file,
        line=line,
        remedy=note,
    )


def _suggestion(name: str, known: list[str]) -> str:
    folded = {candidate.casefold(): candidate for candidate in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.75)
    return f"Did you mean '{folded[near[0]]}'?" if near else ""


def _shown(name: str) -> str:
    return name.rpartition("}")[2]
