"""`set`, `setlocal`, `endlocal`, `shift`."""

import ast
import operator
import re
from collections.abc import Callable, Mapping

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.handles import Streams
from homeport.windows.variables import fold

_OPERATIONS: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}


def set_variable(console: Console, tail: str, streams: Streams) -> int:
    """`set`: list all variables, those with a prefix, or assign one; `/a` computes, `/p` finds no input."""
    text = tail.strip()
    if match := re.match(r"/a\b\s*", text, re.IGNORECASE):
        return _compute(console, text[match.end() :].strip('"'), streams)
    if match := re.match(r"/p\b\s*", text, re.IGNORECASE):
        streams.write(text[match.end() :].strip('"').partition("=")[2])
        return 1
    assignment = _unquoted(tail.lstrip())
    name, equals, value = assignment.partition("=")
    if not equals:
        return _list(console, name.strip(), streams)
    if not name.strip():
        raise CommandFailure("The syntax of the command is incorrect.")
    console.assign(name, value)
    return 0


def begin_scope(console: Console, _tail: str, _streams: Streams) -> int:
    """`setlocal`: keep the variables, to bring them back at `endlocal`."""
    console.scopes.append(dict(console.environment))
    return 0


def end_scope(console: Console, _tail: str, _streams: Streams) -> int:
    """`endlocal`: bring the variables back; without a `setlocal` nothing happens."""
    if console.scopes:
        console.environment = console.scopes.pop()
    return 0


def shift(console: Console, _tail: str, _streams: Streams) -> int:
    """`shift`: `%1` becomes `%0`, and so on."""
    console.arguments = console.arguments[1:]
    return 0


def _unquoted(text: str) -> str:
    """`set "A=b c" x`: quotes around the whole assignment go, and what follows the last one."""
    if text.startswith('"') and '"' in text[1:]:
        return text[1 : text.rindex('"')]
    return text.removeprefix('"')


def _list(console: Console, prefix: str, streams: Streams) -> int:
    shown = [pair for pair in console.listed_variables() if pair[0].casefold().startswith(prefix.casefold())]
    for name, value in shown:
        streams.line(f"{name}={value}")
    if prefix and not shown:
        raise CommandFailure(f"Environment variable {prefix} not defined")
    return 0


def _compute(console: Console, text: str, streams: Streams) -> int:
    """Compute `NAME=expression` or an expression: whole numbers of 32 bits with + - * / % & | ^ ~ and brackets."""
    name, equals, expression = text.partition("=")
    if not equals:
        name, expression = "", text
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        value = _wrap(_evaluate(tree.body, fold(console.variables())))
    except ZeroDivisionError:
        raise CommandFailure("Divide by zero error.", code=1073750993) from None
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise CommandFailure("Missing operator.", code=1073750992) from None
    if name.strip():
        console.assign(name.strip(), str(value))
    streams.write(str(value))
    return 0


def _evaluate(node: ast.expr, variables: Mapping[str, str]) -> int:
    match node:
        case ast.Constant(value=int() as value) if not isinstance(value, bool):
            return value
        case ast.Name(id=name):
            text = variables.get(name.upper(), "0")
            return int(text) if re.fullmatch(r"[+-]?\d{1,10}", text) else 0
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_evaluate(operand, variables)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _evaluate(operand, variables)
        case ast.UnaryOp(op=ast.Invert(), operand=operand):
            return ~_evaluate(operand, variables)
        case ast.BinOp(left=left, op=operation, right=right):
            return _binary(operation, _evaluate(left, variables), right=_evaluate(right, variables))
        case _:
            raise ValueError("not an expression of whole numbers")


def _binary(operation: ast.operator, left: int, *, right: int) -> int:
    if isinstance(operation, (ast.Div, ast.Mod)):
        quotient = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        return quotient if isinstance(operation, ast.Div) else left - right * quotient
    compute = _OPERATIONS.get(type(operation))
    if compute is None:
        raise ValueError("not an operator of set /a")
    return _wrap(compute(left, right))


def _wrap(value: int) -> int:
    return (value + 2**31) % 2**32 - 2**31
