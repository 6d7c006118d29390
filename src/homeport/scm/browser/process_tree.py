"""The site's processes as a tree, for the process explorer. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

_LABELS = {"ftp": "FTP", "scm": "SCM site", "worker": "worker"}


def process_tree(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the processes, each parent before its children, with `depth`.

    `found` is what the agent lists. CPU time is in seconds, memory in bytes, `started` in seconds since 1970.
    """
    known = {each["pid"] for each in found}
    below: dict[int, list[Mapping[str, Any]]] = {}
    for each in sorted(found, key=lambda facts: int(facts["pid"])):
        below.setdefault(each["parent"] if each["parent"] in known else 0, []).append(each)
    rows: list[dict[str, Any]] = []
    waiting = [(each, 0) for each in reversed(below.get(0, []))]
    while waiting:
        each, depth = waiting.pop()
        rows.append(_row(each, depth))
        waiting += [(child, depth + 1) for child in reversed(below.pop(each["pid"], []))]
    return rows


def _row(facts: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kind = str(facts["kind"]) if facts["main"] else ""
    return {
        "id": facts["pid"],
        "depth": depth,
        "name": facts["name"],
        "kind": _LABELS.get(kind, kind),
        "command": " ".join(facts["command_line"]),
        "cpu_seconds": facts["user_seconds"] + facts["system_seconds"],
        "memory": facts["resident_bytes"],
        "threads": facts["threads"],
        "started": facts["started"],
    }
