"""`homeport logs`: what a site and its processes have written."""

import json
import sys
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, show_line
from homeport.cli.scm_client import ScmClient, open_scm

_ENDINGS = (".log", ".txt")
_TAIL_BYTES = 256 * 1024
_DEEPEST = 3
_FOLDER = "inode/directory"


def logs(
    site: Site,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show new lines as they come.")] = False,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="How many last lines of each file.")
    ] = 50,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show the last lines of each log file of a site, or with --follow the new ones of all as they come."""
    with open_control(data) as control:
        shown = control.site(site)
        port = int(control.status()["http_port"])
    with open_scm(shown, port=port) as scm:
        if follow:
            for line in scm.stream_log():
                _show(line, file="", as_json=as_json)
            return
        for file in _log_files(scm, "LogFiles"):
            _show_tail(scm, file, lines=lines, as_json=as_json)


def _log_files(scm: ScmClient, folder: str) -> list[str]:
    """The log files below a folder, the one that was written last at the end."""
    found: list[tuple[str, str]] = []
    pending = [(folder, 0)]
    while pending:
        here, level = pending.pop()
        for entry in scm.folder(here):
            path = f"{here}/{entry['name']}"
            if entry["mime"] == _FOLDER and level < _DEEPEST:
                pending.append((path, level + 1))
            elif entry["name"].endswith(_ENDINGS) and entry["size"]:
                found.append((entry["mtime"], path))
    return [path for _, path in sorted(found)]


def _show_tail(scm: ScmClient, file: str, *, lines: int, as_json: bool) -> None:
    text = scm.tail(file, size=_TAIL_BYTES).splitlines()
    if not as_json:
        show_line(f"==> {safe(file)} <==")
    for line in text[-lines:] if lines else []:
        _show(line, file=file, as_json=as_json)


def _show(line: str, *, file: str, as_json: bool) -> None:
    if as_json:
        record: dict[str, Any] = {"file": file, "line": line} if file else {"line": line}
        show_line(json.dumps(record, ensure_ascii=False))
    else:
        show_line(safe(line, colours=sys.stdout.isatty()))
