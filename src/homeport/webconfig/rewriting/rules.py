"""The rules of URL Rewrite as values, with everything that a `<rewrite>` leaves open filled in (IIS reference §5.7)."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from homeport.webconfig.rewriting.pattern import Pattern
from homeport.webconfig.rewriting.template import Captured, Part, Source, Template


class Grouping(StrEnum):
    """`logicalGrouping` of `<conditions>`."""

    ALL = "MatchAll"
    ANY = "MatchAny"


class Test(StrEnum):
    """`matchType` of a condition."""

    PATTERN = "Pattern"
    FILE = "IsFile"
    DIRECTORY = "IsDirectory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition. `pattern` is None for the tests of the disk, whose input is a path as the site sees it."""

    input: Template
    test: Test = Test.PATTERN
    pattern: Pattern | None = None
    negate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteTo:
    """Goes on with another URL. `path` is relative to the rule's folder unless it begins with a slash.

    `query` is what is written behind a `?`; None where none is written, and then one may still come out of `path` when
    `may_carry_query`.
    """

    path: Template
    query: Template | None = None
    append_query: bool = True

    @property
    def may_carry_query(self) -> bool:
        """Whether a `?` may come out of the path: not out of fixed text or what was matched of a path."""
        return self.query is None and not all(_is_path(part) for part in self.path.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedirectTo:
    """Answers with another address."""

    url: RewriteTo
    status: int = 301


@dataclass(frozen=True, slots=True, kw_only=True)
class Respond:
    """Answers with a status; `reason` is the status line's text, `description` is for the page."""

    status: int
    sub_status: int = 0
    reason: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Abort:
    """Closes the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Leaves the URL alone."""


Action = RewriteTo | RedirectTo | Respond | Abort | Nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariable:
    """`<serverVariables><set>`: `name` is that of a request header (`HTTP_…`), upper case."""

    name: str
    value: Template
    replace: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteRule:
    """One rule in force. `base` is the URL folder (slashes at both ends) that its patterns and targets are relative to.

    `pattern` None matches every URL. `capture_all` numbers the groups of all conditions in one row.
    """

    name: str
    base: str = "/"
    pattern: Pattern | None = None
    negate: bool = False
    grouping: Grouping = Grouping.ALL
    conditions: tuple[Condition, ...] = ()
    capture_all: bool = False
    variables: tuple[SetVariable, ...] = ()
    action: Action = field(default_factory=Nothing)
    stop: bool = False
    file: str = ""
    line: int = 0

    def templates(self) -> Iterator[Template]:
        """Iterate over all its texts with references."""
        for condition in self.conditions:
            yield condition.input
        for variable in self.variables:
            yield variable.value
        target = self.action.url if isinstance(self.action, RedirectTo) else self.action
        if isinstance(target, RewriteTo):
            yield target.path
            yield target.query or Template()

    def parts(self) -> Iterator[Part]:
        """Iterate over all references and fixed texts, those inside others included."""
        for template in self.templates():
            yield from template.within()

    def patterns(self) -> Iterator[Pattern]:
        """Iterate over all its patterns."""
        if self.pattern is not None:
            yield self.pattern
        for condition in self.conditions:
            if condition.pattern is not None:
                yield condition.pattern


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """`<preCondition>`: what must hold of a request and its answer before an outbound rule is tried."""

    name: str
    grouping: Grouping = Grouping.ALL
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboundRule:
    """One outbound rule in force: `header` of an answer, as it is written, becomes `value` where `pattern` matches.

    Without a value the header stays. `replace` False leaves a header alone that is there. The rest is as in
    `RewriteRule`; texts may name the answer's headers (`RESPONSE_…`) and `RESPONSE_STATUS`.
    """

    name: str
    header: str
    pattern: Pattern
    negate: bool = False
    precondition: Precondition | None = None
    grouping: Grouping = Grouping.ALL
    conditions: tuple[Condition, ...] = ()
    capture_all: bool = True
    value: Template | None = None
    replace: bool = True
    stop: bool = False
    file: str = ""
    line: int = 0

    def parts(self) -> Iterator[Part]:
        """Iterate over all references and fixed texts, those inside others included."""
        for condition in self.every_condition():
            yield from condition.input.within()
        yield from (self.value or Template()).within()

    def patterns(self) -> Iterator[Pattern]:
        """Iterate over all its patterns, those of its precondition included."""
        yield self.pattern
        yield from (condition.pattern for condition in self.every_condition() if condition.pattern)

    def every_condition(self) -> tuple[Condition, ...]:
        """Give its conditions and those of its precondition."""
        return (*(self.precondition.conditions if self.precondition else ()), *self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteMap:
    """One map; `entries` are in document order, no key twice. `name` is lower case."""

    name: str
    default: str = ""
    ignore_case: bool = True
    entries: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderRules:
    """The rules in force for the URLs of one folder (slashes at both ends), in the order they are tried.

    `outbound` are those for the answers to what was asked for there.
    """

    folder: str
    rules: tuple[RewriteRule, ...] = ()
    maps: tuple[RewriteMap, ...] = ()
    outbound: tuple[OutboundRule, ...] = ()


def _is_path(part: object) -> bool:
    return isinstance(part, str) or (isinstance(part, Captured) and part.source is Source.RULE)
