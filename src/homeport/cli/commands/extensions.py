"""`homeport extension …`: the Pythons that can be had and those of a site."""

from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import progress, say, show_json, show_line, show_table
from homeport.model.errors import NotFound

app = typer.Typer(help="Find Pythons, put them into sites, take them out.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="ID", help="The id of a Python, such as python3117x64.")]
Exact = Annotated[
    bool, typer.Option("--exact", help="Accept the very version only, no other of the same minor version.")
]


@app.command("list")
def list_extensions(
    *,
    site: Annotated[str | None, typer.Option("--site", metavar="SITE", help="List those of a site.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """List every Python that can be had here, newest first, or those of a site."""
    with open_control(data) as control:
        found = control.gallery() if site is None else control.extensions(site)
    if as_json:
        show_json(found)
    elif site is None:
        rows = [(each["id"], each["version"], each["state"], _mark(each)) for each in found]
        show_table(("ID", "PYTHON", "STATE", ""), rows)
    else:
        show_table(
            ("ID", "PYTHON", "FOLDER"), [(e["id"], e["version"], f"D:\\home\\{e['folder']}") for e in found]
        )


@app.command()
def add(
    site: Site, extension: Id, *, exact: Exact = False, data: Data = None, as_json: AsJson = False
) -> None:
    r"""Put a Python into a site, as the folder D:\home\ID.

    Where the exact version is not on this machine, another of the same minor version stands in and is named.
    """
    with open_control(data) as control, progress() as report:
        done = control.install(site, extension, policy=_policy(exact=exact), report=report)
    _show_installed(done, site, as_json=as_json)


@app.command()
def upgrade(
    site: Site, extension: Id, *, exact: Exact = False, data: Data = None, as_json: AsJson = False
) -> None:
    """Bring a Python of a site to the newest version that this machine has of it; its packages stay."""
    with open_control(data) as control:
        wanted = extension.casefold()
        ids = [each["id"] for each in control.extensions(site) if wanted in (each["id"], each["folder"])]
        if not ids:
            raise NotFound(
                f"The site '{site}' has no '{extension}'; add it with: homeport extension add {site} {extension}"
            )
        with progress() as report:
            done = control.install(site, ids[0], policy=_policy(exact=exact), report=report)
    _show_installed(done, site, as_json=as_json)


@app.command()
def remove(site: Site, extension: Id, *, data: Data = None, as_json: AsJson = False) -> None:
    """Take a Python out of a site, with the packages that were installed into it."""
    with open_control(data) as control:
        gone = control.uninstall(site, extension)
    if as_json:
        show_json(gone)
    else:
        show_line(f"{gone['id']} is removed from {site}, with the packages that were installed into it")


def _show_installed(done: dict[str, Any], site: str, *, as_json: bool) -> None:
    if as_json:
        show_json(done)
    else:
        show_line(f"{site} has Python {done['version']} as D:\\home\\{done['folder']}")
    if done.get("note"):
        say(done["note"])


def _mark(entry: dict[str, Any]) -> str:
    return "recommended" if entry.get("recommended") else ""


def _policy(*, exact: bool) -> str:
    return "exact" if exact else "same-minor"
