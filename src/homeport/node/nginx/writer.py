"""nginx configuration as values, rendered so that no value can change its structure.

nginx reads a token between double quotes with backslash as the only escape, so quoting is simple; but it has no
escape for `$`, and which directives look for variables is known to nobody but them. Hence three kinds of argument:

- `str`: fixed text. A `$` in it is refused, so it is right in either kind of directive.
- `Plain`: for places where nginx looks for no variables (regular expressions, locations): `$` stands for itself.
- `Text`: for places where it does: variables are `Variable` parts, and a `$` in a text part is written as the
  variable `$homeport_dollar`, which the main file defines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from homeport.model.errors import Invalid

_MOST_BYTES = 4000
"""nginx refuses a token that does not fit its reading buffer of 4096 bytes."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BARE = re.compile(r"[A-Za-z0-9_./:=@^*+,\[\]-]+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OPERATORS = frozenset({"=", "!=", "~", "~*", "!~", "!~*"})
_FILE_TESTS = frozenset({"-f", "!-f", "-d", "!-d", "-e", "!-e"})
DOLLAR = "homeport_dollar"


@dataclass(frozen=True, slots=True)
class Variable:
    """A reference to an nginx variable; letters, digits and underscores."""

    name: str


@dataclass(frozen=True, slots=True)
class Capture:
    """A piece that the last regular expression matched: 1 to 9."""

    number: int


@dataclass(frozen=True, slots=True)
class Plain:
    """Text for a place without variables."""

    text: str


@dataclass(frozen=True, slots=True, init=False)
class Text:
    """Text for a place with variables."""

    parts: tuple[str | Variable | Capture, ...]

    def __init__(self, *parts: str | Variable | Capture) -> None:
        object.__setattr__(self, "parts", parts)


Argument = str | Plain | Text | Variable


@dataclass(frozen=True, slots=True)
class Directive:
    """`name arguments;` or, with a block, `name arguments { … }`."""

    name: str
    arguments: tuple[Argument, ...] = ()
    block: "tuple[Node, ...] | None" = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a `map`, `geo` or `types` block: its first word is data, not the name of a directive."""

    key: str | Plain
    values: tuple[Argument, ...]


@dataclass(frozen=True, slots=True)
class If:
    """`if (variable operator operand) { … }`; without an operator: if the variable is neither empty nor 0.

    For the file tests (`-f`, `!-d`, …) the operand is the path and `variable` is None.
    """

    variable: Variable | None
    block: "tuple[Node, ...]"
    operator: str = ""
    operand: Argument = ""


Node = Directive | Entry | If


def directive(name: str, *arguments: Argument) -> Directive:
    """Make a directive that ends with a semicolon."""
    return Directive(name, arguments)


def block(name: str, *arguments: Argument, body: Sequence[Node]) -> Directive:
    """Make a directive with a block."""
    return Directive(name, arguments, tuple(body))


def render(nodes: Sequence[Node]) -> str:
    """Render a configuration file. Raises `Invalid` for a value that nginx configuration cannot hold."""
    lines: list[str] = []
    for node in nodes:
        _render(node, lines, indent="")
    return "".join(f"{line}\n" for line in lines)


def _render(node: Node, lines: list[str], *, indent: str) -> None:
    match node:
        case Entry(key=key, values=values):
            lines.append(f"{indent}{' '.join(_argument(value) for value in (key, *values))};")
        case If(block=body):
            lines.append(f"{indent}if ({_condition(node)}) {{")
            _render_body(body, lines, indent=indent)
        case Directive(name=name, arguments=arguments, block=body):
            head = " ".join([_directive_name(name), *(_argument(argument) for argument in arguments)])
            lines.append(f"{indent}{head}{';' if body is None else ' {'}")
            if body is not None:
                _render_body(body, lines, indent=indent)


def _render_body(body: Sequence[Node], lines: list[str], *, indent: str) -> None:
    for node in body:
        _render(node, lines, indent=f"{indent}    ")
    lines.append(f"{indent}}}")


def _condition(node: If) -> str:
    if node.operator in _FILE_TESTS:
        return f"{node.operator} {_quoted(_argument_text(node.operand))}"
    if node.variable is None:
        raise Invalid("An nginx condition needs a variable or a file test.", code="nginx.invalid-value")
    variable = f"${_variable_name(node.variable)}"
    if not node.operator:
        return variable
    if node.operator not in _OPERATORS:
        raise Invalid(f"'{node.operator}' is no operator of an nginx condition.", code="nginx.invalid-value")
    return f"{variable} {node.operator} {_quoted(_argument_text(node.operand))}"


def _directive_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise Invalid(f"'{name}' is no name of an nginx directive.", code="nginx.invalid-value")
    return name


def _variable_name(variable: Variable) -> str:
    if not _NAME.fullmatch(variable.name):
        raise Invalid(f"'{variable.name}' is no name of an nginx variable.", code="nginx.invalid-value")
    return variable.name


def _argument(argument: Argument) -> str:
    match argument:
        case Variable():
            # Directives that define a variable want it bare: `set $name`, `map … $name`.
            return f"${_variable_name(argument)}"
        case str() if _BARE.fullmatch(argument):
            return _checked(argument)
        case _:
            return _quoted(_argument_text(argument))


def _argument_text(argument: Argument) -> str:
    match argument:
        case str():
            if "$" in argument:
                raise Invalid(
                    f"'{argument}' holds a '$' where nginx configuration cannot say whether it starts a variable.",
                    code="nginx.invalid-value",
                )
            return argument
        case Plain(text=text):
            return text
        case Variable():
            return f"${{{_variable_name(argument)}}}"
        case Text(parts=parts):
            return "".join(_part(part) for part in parts)


def _part(part: str | Variable | Capture) -> str:
    match part:
        case str():
            return part.replace("$", f"${{{DOLLAR}}}")
        case Capture(number=number):
            if not 1 <= number <= 9:
                raise Invalid(f"nginx keeps no piece {number} of a match.", code="nginx.invalid-value")
            return f"${number}"
        case Variable():
            return _argument_text(part)


def _quoted(text: str) -> str:
    escaped = _checked(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _checked(text: str) -> str:
    """Refuse what cannot be written: control characters, lone surrogates, more than nginx reads at once."""
    if _CONTROL.search(text):
        raise Invalid(
            f"{text!r} holds a control character, which nginx configuration cannot hold.",
            code="nginx.invalid-value",
        )
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise Invalid(f"{text!r} is no valid Unicode text.", code="nginx.invalid-value") from error
    if size + text.count("\\") + text.count('"') > _MOST_BYTES:
        raise Invalid(
            f"'{text[:60]}…' is longer than the {_MOST_BYTES} bytes that nginx reads at once.",
            code="nginx.invalid-value",
        )
    return text
