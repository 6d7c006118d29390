"""`homeport trace`: which rule, handler, pool and process takes a request, and why the others do not."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, show_json, show_line, show_table
from homeport.cli.scm_client import open_scm

_WORDS = {
    "app": "The application answers",
    "options": "The server itself answers with the verbs it knows",
    "file": "The file is sent",
    "listing": "A listing of the folder is sent",
    "closed": "The connection is closed without an answer",
}


def trace(
    site: Site,
    url: Annotated[
        str, typer.Argument(metavar="URL", help="An address of the site, or a path such as '/a?b=1'.")
    ],
    *,
    method: Annotated[
        str, typer.Option("--method", "-X", metavar="VERB", help="The verb of the request.")
    ] = "GET",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show who takes a request and why the others do not. The request is not made; nothing of the site runs.

    Every rule, handler and filter that was asked is listed in its order, with its file and line.
    """
    with open_control(data) as control:
        shown = control.site(site)
        port = int(control.status()["http_port"])
    with open_scm(shown, port=port) as scm:
        found = scm.trace(url, method=method)
    if as_json:
        show_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    query = f"?{found['query']}" if found["query"] else ""
    show_line(safe(f"request   {found['method']} {found['path']}{query}"))
    show_line(safe(f"answer    {_answer(str(found['answer']))}"))
    for name, value in (("handler", found["handler"]), ("folder", found["folder"]), ("pool", found["pool"])):
        if value:
            show_line(safe(f"{name:<10}{value}"))
    for process in found["processes"]:
        show_line(safe(f"process   {process['pid']} {process.get('state', '')}".rstrip()))
    if found["pool"] and not found["processes"]:
        show_line("process   none runs now; the request starts one")
    show_line()
    rows = [
        (step["kind"], step["name"], step["verdict"], _place(step), step["reason"]) for step in found["steps"]
    ]
    show_table(("KIND", "NAME", "SAID", "WHERE", "WHY"), rows)


def _answer(answer: str) -> str:
    if answer.startswith("document "):
        return f"The folder's default document {answer.partition(' ')[2]} is sent (file)"
    if re.match(r"30\d ", answer):
        return f"The visitor is sent to {answer[4:]} ({answer[:3]})"
    if re.fullmatch(r"\d{3}\.\d+", answer):
        return f"It is refused with {answer}"
    return f"{_WORDS.get(answer, answer)} ({answer})" if answer in _WORDS else answer


def _place(step: Mapping[str, Any]) -> str:
    return ":".join(str(step[key]) for key in ("file", "line") if step[key])
