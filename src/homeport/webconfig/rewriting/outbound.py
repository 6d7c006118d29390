"""What the outbound rules of a site make of an answer's headers: the specification of them here (IIS reference §5.7).

Texts are bytes, as in `evaluate.py`. A header that comes several times is one text with commas, but each Set-Cookie is
looked at on its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from homeport.webconfig.rewriting.evaluate import (
    UNSAFE_HEADER,
    Request,
    RuleEvaluation,
    folder_of,
    groups_of,
)
from homeport.webconfig.rewriting.rules import FolderRules, OutboundRule
from homeport.webconfig.rewriting.template import Source
from homeport.webconfig.rewriting.variables import STATUS, response_header

EACH_ALONE = "set-cookie"
"""The header whose values cannot be joined by commas."""

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer as far as rules see it; `headers` in the order in which they are sent."""

    status: int
    headers: Headers = ()


def evaluate_outbound(
    folders: Sequence[FolderRules], request: Request, answer: Answer, *, asked: bytes
) -> Headers:
    """Apply the outbound rules of the deepest folder that holds `asked`, the path that the client asked for.

    `request` is as the inbound rules have left it.
    """
    folder = folder_of(folders, asked)
    return _Outbound(folder, request, answer).headers() if folder else answer.headers


class _Outbound(RuleEvaluation):
    def __init__(self, folder: FolderRules, request: Request, answer: Answer) -> None:
        super().__init__(folder, request)
        self._outbound = folder.outbound
        self._status = answer.status
        self._headers = list(answer.headers)
        self._looked_at: tuple[str, bytes] = ("", b"")

    def headers(self) -> Headers:
        """Apply the rules in order."""
        for rule in self._outbound:
            if self._apply(rule) and rule.stop:
                break
        return tuple(self._headers)

    def _apply(self, rule: OutboundRule) -> bool:
        name = rule.header.lower()
        before = self._values(name)
        after = [self._value(rule, name, value) for value in before]
        if any(new is not None for new in after):
            kept = [header for header in self._headers if header[0].lower() != name]
            values = [old if new is None else new for old, new in zip(before, after, strict=True)]
            self._headers = [*kept, *((rule.header, value) for value in values if value)]
        return any(new is not None for new in after)

    def _values(self, name: str) -> list[bytes]:
        """Give the values to look at, an empty one where there is none."""
        found = [value for known, value in self._headers if known.lower() == name]
        return found if name == EACH_ALONE and found else [b",".join(found)]

    def _value(self, rule: OutboundRule, name: str, value: bytes) -> bytes | None:
        """Give what a value becomes, None where the rule does not match."""
        self._looked_at = (name, value)
        self._captures = {}
        first = rule.precondition
        if first is not None and not self._all_hold(first.conditions, first.grouping):
            return None
        self._captures = {}
        found = rule.pattern.compiled().search(value)
        if (found is None) != rule.negate:
            return None
        if found is not None and not rule.negate:
            self._captures[Source.RULE] = groups_of(found)
        if not self._all_hold(rule.conditions, rule.grouping, capture_all=rule.capture_all):
            return None
        if rule.value is None or (value and not rule.replace):
            return value
        new = self._text(rule.value)
        return value if re.search(UNSAFE_HEADER, new) else new

    def _variable(self, name: str) -> bytes:
        if name == STATUS:
            return str(self._status).encode()
        header = response_header(name)
        if header is None:
            return super()._variable(name)
        if header == self._looked_at[0]:
            return self._looked_at[1]
        return b",".join(value for known, value in self._headers if known.lower() == header)
