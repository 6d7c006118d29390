"""`homeport why`: why a site does not start or fails, with the evidence."""

from collections.abc import Mapping
from typing import Any

import typer

from homeport.cli.control_client import ControlClient, open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, show_json, show_line
from homeport.cli.scm_client import open_scm
from homeport.model.errors import NotFound
from homeport.model.preview import PREVIEW_ID_LENGTH, is_preview_name, preview_name


def why(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Name the cause why a site does not start or fails, with the evidence and what to do about it.

    The most telling cause comes first. The exit code is 1 where there is one. SITE may be the name of a preview, as
    its error pages give it.
    """
    with open_control(data) as control:
        name, preview = _named(site, control)
        shown = control.site(name)
        port = int(control.status()["http_port"])
    with open_scm(shown, port=port) as scm:
        found = scm.why(preview=preview)
    if as_json:
        show_json(found)
    elif found["causes"]:
        for number, cause in enumerate(found["causes"]):
            if number:
                show_line()
            _show(cause)
    else:
        _show_pools(found)
    if found["causes"]:
        raise typer.Exit(1)


def _named(name: str, control: ControlClient) -> tuple[str, str | None]:
    """Return the site that is meant, and the id of its preview where the name is that of one. Raises `NotFound`."""
    if not is_preview_name(name):
        return name, None
    short = name[-PREVIEW_ID_LENGTH:]
    for site in (str(each["name"]) for each in control.sites()):
        if site == name:
            return name, None
        if preview_name(site, short) == name:
            return site, short
    raise NotFound(f"There is no site with a preview '{name}'.")


def _show(cause: Mapping[str, Any]) -> None:
    show_line(safe(cause["headline"]))
    place = ":".join(str(cause[key]) for key in ("file", "line") if cause[key])
    for name, text in (("where", place), ("when", cause["time"])):
        if text:
            show_line(safe(f"  {name:<13}{text}"))
    for fact in cause["evidence"]:
        first, *rest = str(fact["text"]).splitlines() or [""]
        show_line(safe(f"  {fact['name']:<13}{first}"))
        for line in rest:
            show_line(safe(f"  {'':<13}{line}"))
    show_line(safe(f"  {'what to do':<13}{cause['remedy']}"))


def _show_pools(found: Mapping[str, Any]) -> None:
    show_line("Nothing is known to be wrong.")
    for pool in found["pools"]:
        show_line(safe(f"  pool {pool['id']} is {pool['state']}"))
    if not found["pools"]:
        show_line("  No process was asked for yet: open the site once, then look again.")
