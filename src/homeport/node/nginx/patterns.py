"""Patterns of rewrite rules as nginx's PCRE reads them."""

from collections.abc import Mapping

from homeport.node.nginx.writer import Plain
from homeport.webconfig.rewriting.pattern import Pattern


def expression(pattern: Pattern, *, steps: int, names: Mapping[int, str], before: str = "") -> Plain:
    """Write a pattern that may take so many steps; `names` are the variables of groups, `before` comes first."""
    # PCRE2 before 10.43 takes the first character of a look-ahead for one more that the text must hold.
    options = "(*NO_START_OPT)" if "(?=" in pattern.pieces else ""
    return Plain(
        f"{before}(*LIMIT_MATCH={steps}){options}{pattern.expression(end=chr(92) + 'z', names=names)}"
    )
