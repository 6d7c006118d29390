"""`homeport site …`: sites from their creation to their end."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, say, show_json, show_line, show_table
from homeport.model.errors import Invalid

_UNLIMITED = "none"
_LIMITS = {
    "memory_bytes": ("memory", "MB", 1024 * 1024),
    "cpu_percent": ("cpu", "%", 1),
    "processes": ("processes", "", 1),
    "request_body_bytes": ("body", "MB", 1024 * 1024),
}
"""The limits of the API: option, unit for a person, and how many of the API's units that is."""

app = typer.Typer(help="Create, look at, start, stop and delete sites.", no_args_is_help=True)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits and inner hyphens, 60 at most.")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Create a site and print its addresses and publishing credentials."""
    with open_control(data) as control:
        site = control.create(name)
    if as_json:
        show_json(site)
        return
    _show_basics(site)
    say(f"Next: homeport extension add {site['name']} ID, then homeport deploy {site['name']} FOLDER")


@app.command("list")
def list_sites(*, data: Data = None, as_json: AsJson = False) -> None:
    """List the sites."""
    with open_control(data) as control:
        sites = control.sites()
    if as_json:
        show_json(sites)
        return
    rows = [(site["name"], site["state"], site["url"], _pythons(site), _health(site)) for site in sites]
    show_table(("NAME", "STATE", "URL", "PYTHON", "HEALTH"), rows)


@app.command()
def show(name: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Show a site: credentials, Pythons, findings in its configuration, pools and processes."""
    with open_control(data) as control:
        site = control.site(name)
    if as_json:
        show_json(site)
        return
    _show_basics(site)
    show_line(
        f"python    {_pythons(site) or 'none; add one with: homeport extension add ' + site['name'] + ' ID'}"
    )
    show_line(f"health    {_health(site)}")
    for pool in site["pools"]:
        show_line(f"pool      {pool['id']}{_owner(pool)} is {pool['state']}{_reason(pool)}")
    for process in site["processes"]:
        show_line(f"process   {process['pid']} {process['kind']} {process.get('state', '')}".rstrip())
    for finding in site["findings"]:
        show_line(_finding(finding))


@app.command()
def start(name: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Start a stopped site."""
    _act(name, "start", data=data, as_json=as_json)


@app.command()
def stop(name: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Stop a site: it answers 403 and has no process of its own."""
    _act(name, "stop", data=data, as_json=as_json)


@app.command()
def restart(name: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Replace the processes of a site without losing a request."""
    _act(name, "restart", data=data, as_json=as_json)


@app.command("reset-credentials")
def reset_credentials(name: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """Give a site another publishing password; publish profiles handed out before stop working."""
    with open_control(data) as control:
        site = control.act(name, "newpassword")
    if as_json:
        show_json(site["publishing"])
        return
    show_line(f"user      {site['publishing']['user']}")
    show_line(f"password  {site['publishing']['password']}")


@app.command("basic-auth")
def basic_auth(
    name: Site,
    *,
    scm: Annotated[bool | None, typer.Option("--scm/--no-scm", help="For the SCM site.")] = None,
    ftp: Annotated[bool | None, typer.Option("--ftp/--no-ftp", help="For FTP.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show or switch whether a site can be published to with user and password.

    While it is off for the SCM site, homeport deploy and homeport logs cannot reach the site either.
    """
    asked = {key: value for key, value in (("scm", scm), ("ftp", ftp)) if value is not None}
    with open_control(data) as control:
        now = control.set_basic_auth(name, asked) if asked else control.basic_auth(name)
    if as_json:
        show_json(now)
        return
    for key, allowed in now.items():
        show_line(f"{key}  {'on' if allowed else 'off'}")


@app.command("set")
def set_config(
    name: Site,
    *,
    https_only: Annotated[
        bool | None, typer.Option("--https-only/--no-https-only", help="Redirect plain HTTP to HTTPS.")
    ] = None,
    minimum_tls: Annotated[
        str | None, typer.Option("--min-tls", metavar="1.2|1.3", help="Refuse older TLS.")
    ] = None,
    http_logging: Annotated[
        bool | None,
        typer.Option("--http-logging/--no-http-logging", help="Write access logs to LogFiles/http/RawLogs."),
    ] = None,
    http_log_megabytes: Annotated[
        int | None, typer.Option("--http-log-megabytes", help="How much of them is kept.")
    ] = None,
    http_log_days: Annotated[
        int | None, typer.Option("--http-log-days", help="For how many days; 0: as long as there is room.")
    ] = None,
    ftps_state: Annotated[
        str | None,
        typer.Option("--ftps-state", metavar="AllAllowed|FtpsOnly|Disabled", help="How it takes FTP."),
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change how a site meets the web; without an option, show it."""
    given = {
        "https_only": https_only,
        "minimum_tls": minimum_tls,
        "http_logging": http_logging,
        "http_log_megabytes": http_log_megabytes,
        "http_log_days": http_log_days,
        "ftps_state": ftps_state,
    }
    changes = {key: value for key, value in given.items() if value is not None}
    _change_part(name, "config", changes, line=_config_line, data=data, as_json=as_json)


@app.command("limits")
def set_limits(
    name: Site,
    *,
    memory: Annotated[
        str | None, typer.Option(metavar="MEGABYTES|none", help="Memory of all its processes together.")
    ] = None,
    cpu: Annotated[
        str | None, typer.Option(metavar="PERCENT|none", help="Processor time; 100 is one processor.")
    ] = None,
    processes: Annotated[
        str | None, typer.Option(metavar="NUMBER|none", help="Processes and threads at once.")
    ] = None,
    body: Annotated[
        str | None, typer.Option(metavar="MEGABYTES", help="The most that web.config may let visitors send.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Change what a site may use, at once and without a restart; without an option, show it."""
    given = {"memory_bytes": memory, "cpu_percent": cpu, "processes": processes, "request_body_bytes": body}
    changes = {key: _limit(text, key) for key, text in given.items() if text is not None}
    _change_part(name, "limits", changes, line=_limit_line, data=data, as_json=as_json)


@app.command()
def delete(
    name: Site,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Delete a site with everything in it."""
    with open_control(data) as control:
        site = control.site(name)
        if not yes:
            typer.confirm(f"Delete '{site['name']}' with all its files?", abort=True, err=True)
        control.delete(site["name"])
    if as_json:
        show_json({"deleted": site["name"]})
    else:
        show_line(f"{site['name']} is deleted")


def _act(name: str, action: str, *, data: Data, as_json: bool) -> None:
    with open_control(data) as control:
        site = control.act(name, action)
    if as_json:
        show_json(site)
    else:
        show_line(f"{site['name']} is {site['state'].lower()}: {site['url']}")


def _change_part(
    name: str,
    part: str,
    changes: Mapping[str, Any],
    *,
    line: Callable[[str, Any], str],
    data: Data,
    as_json: bool,
) -> None:
    """Change what is given of one part of a site, and show that part, a line a key."""
    with open_control(data) as control:
        site = control.change(name, {part: changes}) if changes else control.site(name)
    if as_json:
        show_json(site[part])
        return
    for key, value in site[part].items():
        show_line(line(key, value))


def _config_line(key: str, value: object) -> str:
    return f"{key:<20}{str(value).lower() if isinstance(value, bool) else value}"


def _limit(text: str, key: str) -> int | None:
    """Read a limit as a person writes it. Raises `Invalid`."""
    option, _, units = _LIMITS[key]
    if text.lower() == _UNLIMITED:
        return None
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise Invalid(f"'{text}' cannot be --{option}: give a whole number above 0, or {_UNLIMITED}.")
    return int(text) * units


def _limit_line(key: str, value: int | None) -> str:
    option, unit, units = _LIMITS[key]
    shown = _UNLIMITED if value is None else f"{value / units:g} {unit}".rstrip()
    return f"{option:<11}{shown}"


def _show_basics(site: Mapping[str, Any]) -> None:
    show_line(f"site      {site['name']} ({site['state']})")
    show_line(f"url       {site['url']}")
    show_line(f"https     {site['https_url']}")
    show_line(f"scm       {site['scm_url']}")
    if site["ftp_url"]:
        show_line(f"ftp       {site['ftp_url']}")
    show_line(f"user      {site['publishing']['user']}")
    show_line(f"password  {site['publishing']['password']}")


def _pythons(site: Mapping[str, Any]) -> str:
    return ", ".join(f"{each['folder']} ({each['version']})" for each in site["runtimes"])


def _health(site: Mapping[str, Any]) -> str:
    if site["problem"]:
        return safe(site["problem"])
    if site["state"] != "Running":
        return "stopped"
    errors = sum(finding["severity"] == "error" for finding in site["findings"])
    if errors:
        return f"{errors} {'error' if errors == 1 else 'errors'} in web.config; see: homeport site show {site['name']}"
    if site["ready"] is None:
        return "unknown"
    return "ok" if site["ready"] else f"failing; see: homeport why {site['name']}"


def _owner(pool: Mapping[str, Any]) -> str:
    """Name the application below the SCM site that a pool belongs to; the site's own pools have none."""
    return f" of {safe(str(pool['application']))} on the SCM site" if pool.get("application") else ""


def _reason(pool: Mapping[str, Any]) -> str:
    return f": {safe(str(pool['reason']))}" if pool.get("reason") else ""


def _finding(finding: Mapping[str, Any]) -> str:
    place = ":".join(str(finding[key]) for key in ("file", "line", "column") if finding.get(key))
    text = f"{place}: " if place else ""
    remedy = f" {finding['remedy']}" if finding.get("remedy") else ""
    return safe(f"{finding['severity']:<10}{text}{finding['message']}{remedy}")
