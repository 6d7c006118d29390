"""`homeport settings …`: the app settings of a site, environment variables of its processes."""

from typing import Annotated

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import show_json, show_line, show_table

app = typer.Typer(help="List, set and delete the app settings of a site.", no_args_is_help=True)


@app.command("list")
def list_settings(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """List the app settings of a site, values included."""
    with open_control(data) as control:
        settings = control.settings(site)
    if as_json:
        show_json(settings)
    else:
        show_table(("NAME", "VALUE"), list(settings.items()))


@app.command("set")
def set_settings(
    site: Site,
    settings: Annotated[list[str], typer.Argument(metavar="NAME=VALUE...", help="What to set.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Set app settings and leave the others; the site's processes are replaced."""
    pairs = dict(_pair(text) for text in settings)
    with open_control(data) as control:
        now = control.set_settings(site, pairs)
    if as_json:
        show_json(now)
    else:
        show_line(f"{site} has {len(now)} {'setting' if len(now) == 1 else 'settings'}")


@app.command()
def delete(
    site: Site,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="What to delete.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Delete app settings."""
    with open_control(data) as control:
        for name in names:
            control.delete_setting(site, name)
        now = control.settings(site)
    if as_json:
        show_json(now)
    else:
        show_line(f"{site} has {len(now)} {'setting' if len(now) == 1 else 'settings'}")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise typer.BadParameter(f"'{text}' is not of the form NAME=VALUE.")
    return name, value
