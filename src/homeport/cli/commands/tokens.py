"""`homeport token …`: what scripts use in the place of a site's publishing password."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import show_json, show_line, show_table

app = typer.Typer(help="Tokens with which scripts reach the SCM site of a site.", no_args_is_help=True)


@app.command()
def create(
    site: Site,
    *,
    name: Annotated[
        str, typer.Option("--name", help="What to call it; the name is in logs of deployments.")
    ] = "script",
    days: Annotated[
        int | None, typer.Option("--days", help="For how long it is valid; without end if not given.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it, this once. It goes into a header: Authorization: Bearer TOKEN."""
    with open_control(data) as control:
        made = control.create_token(site, name, days)
    if as_json:
        show_json(made)
    else:
        show_line(made["token"])


@app.command("list")
def list_tokens(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """List the tokens of a site, without their secrets."""
    with open_control(data) as control:
        tokens = control.tokens(site)
    if as_json:
        show_json({"tokens": tokens})
    else:
        show_table(("NAME", "CREATED", "EXPIRES"), [_row(each) for each in tokens])


@app.command()
def remove(
    site: Site,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")],
    *,
    data: Data = None,
) -> None:
    """Make a token worthless."""
    with open_control(data) as control:
        control.remove_token(site, name)
    show_line(f"the token '{name}' opens {site} no more")


def _row(token: dict[str, Any]) -> tuple[str, str, str]:
    return (token["name"], _day(token["created"]), _day(token["expires"]) if token["expires"] else "never")


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
