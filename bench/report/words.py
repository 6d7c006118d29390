"""How the report names things. Pure."""

from collections.abc import Mapping

from bench.samples import Load, StackName

STACK_WORDS: Mapping[str, str] = {
    StackName.HOMEPORT_ACCELERATED: "Homeport, accelerated",
    StackName.HOMEPORT_PURE: "Homeport, pure Python",
    StackName.UWSGI: "nginx + uWSGI",
    StackName.GRANIAN: "nginx + granian",
    StackName.GRANIAN_DIRECT: "granian, no proxy",
    StackName.GUNICORN_GTHREAD: "nginx + gunicorn gthread",
    StackName.GUNICORN_SYNC: "nginx + gunicorn sync",
}
"""In the order of the tables."""

LOAD_WORDS: Mapping[str, str] = {
    Load.HELLO: "raw WSGI",
    Load.FLASK: "Flask",
    Load.DJANGO: "Django",
    Load.BODY: "100 KB response",
    Load.UPLOAD: "1 MB upload",
    Load.MARK: "raw WSGI",
}


def ratio(value: float | None) -> str:
    """Write a ratio with two decimals, or a dash."""
    return "–" if value is None else f"{value:.2f}"


def mark(reached: bool | None) -> str:  # noqa: FBT001 — the one thing it says
    """Write whether a target is reached."""
    return {True: "✓", False: "✗ missed", None: "not measured"}[reached]


def megabytes(value: float) -> str:
    """Write bytes as MB (10⁶) with one decimal."""
    return f"{value / 1e6:.1f} MB"


def milliseconds(seconds: float) -> str:
    """Write seconds as milliseconds."""
    return f"{seconds * 1000:.0f} ms"


def connections(count: int) -> str:
    """Write how many connections a load has."""
    return "1 connection" if count == 1 else f"{count} connections"


def table(head: list[str], body: list[list[str]]) -> str:
    """Write a Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *("--:" for _ in head[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *body))
