"""Whether the condition of an `if` holds."""

import re

from homeport.scm.commands.console import Console
from homeport.windows.cmd.syntax import Comparison, Condition, Defined, ErrorLevelAtLeast, Exists
from homeport.windows.variables import fold

_ORDERS = {"equ": {0}, "neq": {-1, 1}, "lss": {-1}, "leq": {-1, 0}, "gtr": {1}, "geq": {0, 1}}


def holds(condition: Condition, console: Console) -> bool:
    """Judge a condition; raises `CommandFailure` for a path that cannot be one."""
    match condition:
        case Exists(path=path):
            bare = path.replace('"', "")
            return any(found.exists() for found in console.matches(bare))
        case Defined(name=name):
            return name.upper() in fold(console.variables())
        case ErrorLevelAtLeast(level=level):
            return console.error_level >= level
        case Comparison():
            return _compare(condition)


def _compare(comparison: Comparison) -> bool:
    """Compare as numbers where both sides are, else as texts; `==` always as texts."""
    left, right = comparison.left, comparison.right
    if comparison.ignore_case:
        left, right = left.casefold(), right.casefold()
    if comparison.operator == "==":
        return left == right
    if all(re.fullmatch(r"[+-]?\d{1,10}", side) for side in (left, right)):
        order = (int(left) > int(right)) - (int(left) < int(right))
    else:
        order = (left > right) - (left < right)
    return order in _ORDERS[comparison.operator]
