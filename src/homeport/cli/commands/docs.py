"""`homeport docs`: writes the generated pages: the commands, and what is honoured of web.config (`make docs`)."""

from pathlib import Path
from typing import Any

import typer

import homeport
from homeport.cli.output import show_line
from homeport.model.errors import NotFound
from homeport.webconfig.support_page import render_support_page

_PAGE = "docs/reference/cli.md"
_SUPPORT_PAGE = "docs/compatibility/webconfig.md"
_HEAD = """# Commands

<!-- Written by `make docs` from the commands themselves; a test fails when it is out of date. -->

Exit code 0 on success, 1 on failure with the reason on standard error, 2 on wrong usage.
Results go to standard output, everything else to standard error.
`homeport --install-completion` sets up completion for your shell.
"""


def docs(context: typer.Context) -> None:
    """Write the generated pages of the documentation into a checkout (make docs)."""
    root = Path(homeport.__file__).parents[2]
    pages = {_PAGE: render_reference(context.find_root().command), _SUPPORT_PAGE: render_support_page()}
    for name, text in pages.items():
        page = root / name
        if not page.parent.is_dir():
            raise NotFound(f"There is no folder {page.parent}; run this in a checkout of Homeport.")
        page.write_text(text)
        show_line(str(page))


def render_reference(command: Any) -> str:
    """Return the whole page as Markdown; `command` is Typer's root command (its classes are not public)."""
    return "\n".join([_HEAD, *_sections(command, "homeport")]).rstrip() + "\n"


def _sections(command: Any, path: str) -> list[str]:
    children = getattr(command, "commands", None)
    if children is None:
        return [_section(command, path)]
    shown = {name: child for name, child in children.items() if not child.hidden}
    return [section for name, child in shown.items() for section in _sections(child, f"{path} {name}")]


def _section(command: Any, path: str) -> str:
    context = typer.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(context))
    rows = [row for parameter in command.params if (row := _row(parameter, context))]
    table = ["", "| | |", "|---|---|", *rows] if rows else []
    return "\n".join(
        [f"## {path}", "", "```", f"{path} {usage}".rstrip(), "```", "", _help(command), *table, ""]
    )


def _help(command: Any) -> str:
    paragraphs = (command.help or "").strip().split("\n\n")
    return "\n\n".join(" ".join(line.strip() for line in paragraph.splitlines()) for paragraph in paragraphs)


def _row(parameter: Any, context: typer.Context) -> str | None:
    record = parameter.get_help_record(context)
    if record is None:
        return None
    name, text = record
    return f"| `{name}` | {text} |".replace("\\|", "|")
