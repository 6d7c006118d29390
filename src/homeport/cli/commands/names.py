"""`homeport hostname …` and `homeport hosts`: the names of sites."""

from pathlib import Path
from typing import Annotated

import typer

from homeport.cli.control_client import open_control
from homeport.cli.hosts_file import hosts_lines, write_hosts
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import say, show_json, show_line

app = typer.Typer(help="Names of a site beside SITE.DOMAIN.", no_args_is_help=True)
Host = Annotated[str, typer.Argument(metavar="NAME", help="A full name such as www.example.org.")]


@app.command("list")
def list_hostnames(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """List the names of a site, and what proves that a new one is yours."""
    with open_control(data) as control:
        found = control.hostnames(site)
    if as_json:
        show_json(found)
        return
    for name in found["hostnames"]:
        show_line(name)
    say(f"To prove a new name: TXT asuid.NAME {found['verification_id']}, or CNAME {found['hostnames'][0]}")


@app.command("add")
def add_hostname(
    site: Site,
    name: Host,
    *,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="You vouch for the name: the name service is not asked.")
    ] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Serve a site under a further name, once the name service shows that it is yours."""
    with open_control(data) as control:
        found = control.add_hostname(site, name, unverified=unverified)
    if as_json:
        show_json(found)
    else:
        show_line(f"{site} is served as {', '.join(found['hostnames'])}")


@app.command("remove")
def remove_hostname(site: Site, name: Host, *, data: Data = None, as_json: AsJson = False) -> None:
    """Stop to serve a site under a name."""
    with open_control(data) as control:
        control.remove_hostname(site, name)
    if as_json:
        show_json({"removed": name})
    else:
        show_line(f"{name} is removed")


def hosts(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Put the lines into the hosts file, in the place of those before.")
    ] = False,
    address: Annotated[str, typer.Option("--address", help="Where the names lead to.")] = "127.0.0.1",
    file: Annotated[Path, typer.Option("--file", help="The hosts file.")] = Path("/etc/hosts"),
    data: Data = None,
) -> None:
    """Print the lines that make the sites' names known on this machine, for the hosts file.

    With --write they are put there between two markers, and nothing else in the file is touched.
    """
    with open_control(data) as control:
        status, sites = control.status(), control.sites()
    names = [[*site["hostnames"], f"{site['name']}.scm.{status['domain']}"] for site in sites]
    lines = hosts_lines(address, [*names, *([[f"ftp.{status['domain']}"]] if status["ftp"] else [])])
    if not write:
        for line in lines:
            show_line(line)
        return
    write_hosts(file, lines)
    show_line(f"{file} names {len(sites)} {'site' if len(sites) == 1 else 'sites'}")
