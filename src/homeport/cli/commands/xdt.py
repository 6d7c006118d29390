"""`homeport xdt`: XML Document Transform at the command line."""

import difflib
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from homeport.cli.options import AsJson
from homeport.cli.output import safe, say, show_json, show_line
from homeport.model.errors import Invalid
from homeport.model.finding import Finding
from homeport.webconfig.xdt import apply_transform

app = typer.Typer(help="XML Document Transform: change a web.config by a file.", no_args_is_help=True)
_MOST_BYTES = 16 * 1024 * 1024
_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}


@app.callback()
def _group() -> None:
    """Keep `apply` a command of its own."""


@app.command("apply")
def apply(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="The document, such as web.config.")],
    transform: Annotated[
        Path, typer.Argument(metavar="TRANSFORM", help="The transform, such as web.release.config.")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the result there; it may be SOURCE itself."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Apply a transform to a document and show what it changes as a diff.

    Nothing is written without --output, nor where a transform fails: then the exit code is 1.
    """
    data = _read(source)
    result = apply_transform(data, _read(transform), source_file=str(source), transform_file=str(transform))
    if as_json:
        show_json(
            {
                "succeeded": result.succeeded,
                "text": result.text,
                "findings": [asdict(finding) for finding in result.findings],
            }
        )
    else:
        _say_findings(result.findings)
        if result.text is not None:
            _show_diff(data.decode("utf-8-sig", "replace"), result.text, name=str(source))
    if not result.succeeded:
        raise typer.Exit(1)
    if output is not None and result.data is not None:
        _write(output, result.data)


def _show_diff(before: str, after: str, *, name: str) -> None:
    for line in _diff(before, after, name=name):
        colour = _COLOURS.get(line[:1]) if sys.stdout.isatty() else None
        show_line(typer.style(safe(line), fg=colour) if colour else safe(line))


def _diff(before: str, after: str, *, name: str) -> Iterator[str]:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), fromfile=name, tofile=f"{name} (transformed)", lineterm=""
    )
    return iter(lines)


def _say_findings(findings: tuple[Finding, ...]) -> None:
    for finding in findings:
        say(safe(str(finding)))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES)
    except OSError as error:
        raise Invalid(f"'{path}' cannot be read: {error.strerror or error}.") from error


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise Invalid(f"'{path}' cannot be written: {error.strerror or error}.") from error
