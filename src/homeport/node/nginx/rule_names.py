"""The words by which a request's line tells which rule took the request, for metrics.

A location says them where it takes a request, so a request costs the assignment of a constant. They say everything
by themselves: they need no table that a reload, an older nginx process or a new agent could read otherwise. What they say is
the site owner's text, so it is percent-encoded: nothing in it ends a field, a line or a word.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from homeport.node.nginx.writer import Directive, If, Node, Text, Variable, directive

TAKEN_BY = Variable("homeport_taken_by")
STATIC = "static"
"""In place of a pool: nginx answers by itself."""
_LONGEST = 100
"""Characters of a folder or rule."""
_SAFE = "/._-~:*+,()"
_MISSING = "-"


@dataclass(frozen=True, slots=True, order=True, kw_only=True)
class RuleName:
    """What took a request.

    `rule` is the section of web.config and, behind a slash, the name that the rule has there: `handlers/PythonHandler`.
    `folder` is the URL folder that it stands in, empty where it stands for those of several. `pool` is the id of the
    pool that answers, or `static`.
    """

    rule: str = "none"
    folder: str = ""
    pool: str = STATIC

    def written(self) -> str:
        """Write it as three words of ASCII."""
        parts = (_cut(self.rule), _cut(self.folder), self.pool)
        return " ".join(quote(part, safe=_SAFE, errors="replace") or _MISSING for part in parts)


NOBODY = RuleName()
"""What is answered before any rule is looked at: requests that cannot be read, say."""


def rule_name(section: str, name: str = "", *, folder: str = "", pool: str = STATIC) -> RuleName:
    """Name the rule `name` of a section, or the section where its entries have no names."""
    return RuleName(rule=f"{section}/{name}" if name else section, folder=folder, pool=pool)


def read_rule_name(word: str) -> RuleName:
    """Read what `RuleName.written` wrote; `NOBODY` for anything else. What cannot be shown becomes `?`."""
    parts = word.split(" ")
    if len(parts) != len(RuleName.__slots__):
        return NOBODY
    rule, folder, pool = ("" if part == _MISSING else _shown(unquote(part)) for part in parts)
    return RuleName(rule=rule, folder=folder, pool=pool)


def taken_by(name: RuleName) -> Directive:
    """Note who takes the request; what notes it last counts."""
    return directive("set", TAKEN_BY, Text(name.written()))


def refused_by(name: RuleName, nodes: Iterable[Node]) -> list[Node]:
    """Note it in each of these conditions, all of which end a request."""
    return [
        replace(node, block=(taken_by(name), *node.block)) if isinstance(node, If) else node for node in nodes
    ]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _shown(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)
