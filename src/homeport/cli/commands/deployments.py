"""`homeport deployments`: what was deployed, what it said, what changed, and the way back."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from homeport.cli.control_client import open_control
from homeport.cli.deployment import DeploymentLog, failed
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, say, show_json, show_line, show_table
from homeport.cli.scm_client import ScmClient, open_scm
from homeport.model.errors import Conflict, NotFound

app = typer.Typer(help="What was deployed to a site, and the way back to it.", no_args_is_help=True)
Identity = Annotated[
    str, typer.Argument(metavar="ID", help="The id of the deployment, or the beginning of it.")
]
_STATES = {0: "pending", 1: "building", 2: "deploying", 3: "failed", 4: "succeeded"}
_SHORT = 12


@app.command("list")
def list_deployments(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """List the deployments of a site, the newest first; the one that is served is marked with `*`."""
    with _scm(site, data) as (scm, _):
        records = scm.deployments()
    if as_json:
        show_json(records)
        return
    rows = [
        [
            "*" if record["active"] else "",
            str(record["id"])[:_SHORT],
            _STATES.get(record["status"], "?"),
            str(record["received_time"])[:19].replace("T", " "),
            safe(str(record["deployer"] or "")),
            safe(str(record["message"] or "").split("\n")[0][:60]),
        ]
        for record in records
    ]
    show_table(["", "ID", "STATE", "RECEIVED (UTC)", "BY", "MESSAGE"], rows)


@app.command("show")
def show_deployment(site: Site, identity: Identity, *, data: Data = None, as_json: AsJson = False) -> None:
    """Show one deployment's record."""
    with _scm(site, data) as (scm, _):
        record = _record(scm, identity)
    if as_json:
        show_json(record)
        return
    for name in (
        "id",
        "author",
        "author_email",
        "deployer",
        "message",
        "received_time",
        "end_time",
        "status_text",
    ):
        if record.get(name):
            show_line(f"{name.replace('_', ' '):14}{safe(str(record[name]))}")
    show_line(f"{'state':14}{_STATES.get(record['status'], '?')}{', served now' if record['active'] else ''}")


@app.command("log")
def show_log(site: Site, identity: Identity, *, data: Data = None, as_json: AsJson = False) -> None:
    """Show the log of one deployment."""
    with _scm(site, data) as (scm, _):
        lines = list(DeploymentLog(scm, _record(scm, identity)["id"]).new_lines())
    if as_json:
        show_json([{"depth": line.depth, "message": line.message, "type": line.kind} for line in lines])
        return
    for line in lines:
        show_line(f"{'  ' * line.depth}{safe(line.message)}")


@app.command("diff")
def show_difference(
    site: Site,
    identity: Identity,
    *,
    against: Annotated[
        str, typer.Option("--against", help="Compare with this deployment, not with the one that is served.")
    ] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Show what going back to a deployment would change: files (+ - ~) and installed packages."""
    with _scm(site, data) as (scm, _):
        earlier = _record(scm, against)["id"] if against else None
        found = scm.difference(_record(scm, identity)["id"], against=earlier)
    if as_json:
        show_json(found)
        return
    for kind, name in (("files", ""), ("packages", "package ")):
        for mark, change in (("+", "added"), ("-", "removed"), ("~", "changed")):
            for item in found[kind][change]:
                show_line(f"{mark} {name}{safe(item)}")


@app.command("preview")
def preview_deployment(
    site: Site,
    identity: Identity,
    *,
    end: Annotated[bool, typer.Option("--end", help="End the preview.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Serve a deployment at an address of its own, beside what is served now, and print the address.

    Whoever has the address sees the preview. It ends by itself: 30 minutes after its last visitor, 8 hours at most.
    """
    with _scm(site, data) as (scm, _):
        known = _record(scm, identity)["id"]
        if end:
            scm.end_preview(known)
            return
        found = scm.preview(known)
    if as_json:
        show_json(found)
        return
    say(found["note"])
    show_line(found["url"])


@app.command("rollback")
def roll_back(site: Site, identity: Identity, *, data: Data = None, as_json: AsJson = False) -> None:
    """Deploy an earlier deployment again: its files, and the packages that its build ended with."""
    with _scm(site, data) as (scm, shown):
        known = _record(scm, identity)["id"]
        say(f"Deploying {known} again")
        scm.redeploy(known)
        record = _record(scm, known)
    if failed(record):
        text = safe(str(record.get("status_text") or "")) or "its log says why"
        raise Conflict(f"The deployment failed: {text}. What was served before is still served.")
    if as_json:
        show_json({**record, "url": shown["url"]})
    else:
        show_line(shown["url"])


@contextmanager
def _scm(site: str, data: Any) -> Iterator[tuple[ScmClient, dict[str, Any]]]:
    with open_control(data) as control:
        shown = control.site(site)
        port = int(control.status()["http_port"])
    with open_scm(shown, port=port) as scm:
        yield scm, shown


def _record(scm: ScmClient, identity: str) -> dict[str, Any]:
    """Find a deployment by the beginning of its id. Raises `NotFound` and `Conflict`."""
    records = scm.deployments()
    found = [record for record in records if record["id"] == identity] or [
        record for record in records if identity and record["id"].startswith(identity)
    ]
    if not found:
        raise NotFound(
            f"There is no deployment '{identity}'; `homeport deployments list` shows those there are."
        )
    if len(found) > 1:
        raise Conflict(f"Several deployments begin with '{identity}': write more of the id.")
    return found[0]
