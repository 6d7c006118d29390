"""`homeport publish-profile` and `homeport publishing-user …`: what tools need to publish to the sites."""

import sys
from typing import Annotated

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import show_json, show_line

app = typer.Typer(help="The user who may publish to every site.", no_args_is_help=True)


def publish_profile(
    site: Site,
    *,
    form: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="WebDeploy: all that works here. Ftp: the FTP entry alone. "
            "KuduClient: for clients that read the address from an entry marked MSDeploy, such as kudu.py.",
        ),
    ] = "WebDeploy",
    data: Data = None,
) -> None:
    """Print the publish profile of a site as XML: its address, user and password, for tools that deploy.

    Keep it as a secret: whoever has it can change the site. A new password makes it worthless:
    homeport site reset-credentials SITE.
    """
    with open_control(data) as control:
        show_line(control.publish_profile(site, form))


@app.command("show")
def show_user(*, data: Data = None, as_json: AsJson = False) -> None:
    """Show the name of the user, never the password."""
    with open_control(data) as control:
        user = control.publishing_user()
    if as_json:
        show_json(user)
    else:
        show_line(
            user["publishingUserName"] or "there is none; make one with: homeport publishing-user set NAME"
        )


@app.command("set")
def set_user(
    name: Annotated[str, typer.Argument(metavar="NAME", help="3 to 80 letters, digits, dots, hyphens.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Make the user, in the place of the one before; the password is asked for, or read from standard input."""
    if sys.stdin.isatty():
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    with open_control(data) as control:
        user = control.set_publishing_user(name, password)
    if as_json:
        show_json(user)
    else:
        show_line(f"{user['publishingUserName']} may publish to every site")


@app.command("remove")
def remove_user(*, data: Data = None) -> None:
    """Forget the user; the sites' own credentials go on working."""
    with open_control(data) as control:
        control.remove_publishing_user()
    show_line("no user may publish to every site any more")
