"""File-name patterns of Windows: `*` and `?`, without case; brackets are ordinary characters."""

import re
from collections.abc import Iterable


def has_wildcards(text: str) -> bool:
    """Whether a name is a pattern."""
    return "*" in text or "?" in text


def match_names(pattern: str, names: Iterable[str]) -> list[str]:
    """Give the names that match, sorted without case; `*.*` means every name, as in cmd."""
    if pattern == "*.*":
        pattern = "*"
    parts = {"*": ".*", "?": "."}
    expression = re.compile(
        "".join(parts.get(character) or re.escape(character) for character in pattern),
        re.IGNORECASE | re.DOTALL,
    )
    return sorted((name for name in names if expression.fullmatch(name)), key=sort_key)


def sort_key(name: str) -> tuple[str, str]:
    """Order names as a Windows folder listing does: without case, and then stable."""
    return name.casefold(), name
