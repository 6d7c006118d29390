"""The syntax tree of one command line, and the error of a line that has none."""

from dataclasses import dataclass
from enum import StrEnum

from homeport.model.errors import Invalid


class CommandSyntaxError(Invalid):
    """A line that cmd.exe would not read; `column` counts from 1 in `line`, which is the line after expansion.

    `incomplete` says that further lines could close what is open.
    """

    code = "cmd.syntax"

    def __init__(self, message: str, *, line: str, column: int, incomplete: bool = False) -> None:
        super().__init__(f"{message}\n{line}\n{' ' * (column - 1)}^")
        self.incomplete = incomplete
        self.line = line
        self.column = column


class RedirectionKind(StrEnum):
    """What a redirection does with its handle."""

    READ = "<"
    WRITE = ">"
    APPEND = ">>"
    DUPLICATE = ">&"


@dataclass(frozen=True, slots=True, kw_only=True)
class Redirection:
    """`2>file`: `handle` is 0 to 9; `target` is a file without its quotes, or the other handle's digit."""

    kind: RedirectionKind
    handle: int
    target: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Simple:
    """One command with its arguments as written: carets are resolved, quotes are kept, redirections taken out."""

    text: str
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """`rem …` or a label: does nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """`( … )` with the redirections of the whole."""

    body: "Node"
    redirections: tuple[Redirection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sequence:
    """`a & b`, or lines: one after the other, whatever the outcome."""

    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AndThen:
    """`a && b`: the second if the first gave 0."""

    first: "Node"
    second: "Node"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrElse:
    """`a || b`: the second if the first did not give 0."""

    first: "Node"
    second: "Node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """`a | b | c`: at once, each stage's output is the next one's input."""

    stages: tuple["Node", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exists:
    """`exist path`; wildcards allowed in the last name."""

    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """`defined NAME`."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLevelAtLeast:
    """`errorlevel N`: true from N upwards."""

    level: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """`left==right` (operator `==`) or `left OP right` with EQU, NEQ, LSS, LEQ, GTR or GEQ; quotes are part of it."""

    left: str
    operator: str
    right: str
    ignore_case: bool = False


Condition = Exists | Defined | ErrorLevelAtLeast | Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class If:
    """`if [not] condition then [else otherwise]`."""

    condition: Condition
    negated: bool
    then: "Node"
    otherwise: "Node | None" = None


class ForKind(StrEnum):
    """Which form of `for` it is."""

    ITEMS = ""
    """Words; one with wildcards stands for the files it matches."""
    FOLDERS = "/d"
    """The same, over folders."""
    TREE = "/r"
    """The same, in every folder below `option`."""
    NUMBERS = "/l"
    """`start,step,end`."""
    LINES = "/f"
    """Lines of files, of a "text" or of a 'command', cut into tokens by `option`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class For:
    """`for [kind] [option] %variable in (source) do body`; `variable` is one letter, with its case."""

    kind: ForKind
    option: str
    variable: str
    source: str
    body: "Node"


Node = Simple | Remark | Block | Sequence | AndThen | OrElse | Pipe | If | For
