"""`homeport deploy`: a folder or a zip becomes the content of a site."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from homeport.cli.control_client import ControlClient, open_control
from homeport.cli.deployment import LogLine, failed, follow
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import Report, progress, safe, say, show_json, show_line
from homeport.cli.package import Package, open_package
from homeport.cli.scm_client import ScmClient, open_scm
from homeport.model.errors import Conflict

_MARKS = {0: "", 1: "warning: ", 2: "error: "}
_NAMED = 6


def deploy(
    site: Site,
    path: Annotated[Path, typer.Argument(metavar="PATH", exists=True, help="A folder or a zip file.")],
    *,
    no_build: Annotated[
        bool, typer.Option("--no-build", help="Do not install what the package requires.")
    ] = False,
    clean: Annotated[
        bool, typer.Option("--clean", help="Delete whatever else is in the site's content folder.")
    ] = False,
    configuration: Annotated[
        str,
        typer.Option(
            "--configuration",
            "-c",
            metavar="NAME",
            help="Apply web.NAME.config to web.config: Debug, Release.",
        ),
    ] = "",
    message: Annotated[str, typer.Option("--message", "-m", help="What the deployment record says.")] = "",
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Deploy a folder or a zip file, show the log of the deployment as it goes, print the address.

    What the package requires (requirements.txt, uv.lock, poetry.lock, Pipfile.lock, Pipfile, pyproject.toml) is
    installed into the site's Python, unless --no-build or a file .deployment says otherwise.
    Folders such as .git, .venv, node_modules and __pycache__ are left out.
    """
    with open_control(data) as control:
        record = deploy_to(
            control,
            site,
            path,
            build=not no_build,
            clean=clean,
            message=message,
            configuration=configuration,
        )
    if as_json:
        show_json(record)
    else:
        show_line(record["url"])


def deploy_to(
    control: ControlClient,
    name: str,
    path: Path,
    *,
    build: bool,
    clean: bool,
    message: str,
    configuration: str = "",
) -> dict[str, Any]:
    """Deploy and return the deployment's record, with `url` of the site. Raises `Conflict` when it failed."""
    site = control.site(name)
    port = int(control.status()["http_port"])
    query = {"clean": "true"} if clean else {}
    query |= {"message": message} if message else {}
    with open_scm(site, port=port) as scm:
        with open_package(path, build=build, configuration=configuration) as package, progress() as report:
            _say_left_out(package)
            location, deployment_id = scm.push(_sent(package, report), size=package.size, query=query)
        record = _follow(scm, location, deployment_id)
    if failed(record):
        text = safe(str(record.get("status_text") or "")).removesuffix(".") or "the log above says why"
        raise Conflict(f"The deployment failed: {text}. What was served before is still served.")
    return {**record, "url": site["url"], "scm_url": site["scm_url"]}


def _follow(scm: ScmClient, location: str, deployment_id: str | None) -> dict[str, Any]:
    record: dict[str, Any] = {}
    for event in follow(scm, location, deployment_id):
        if isinstance(event, LogLine):
            say(
                f"{'  ' * event.depth}{_MARKS.get(event.kind, '') if event.depth else ''}{safe(event.message)}"
            )
        else:
            record = event
    return record


def _sent(package: Package, report: Report) -> Iterator[bytes]:
    text = f"Uploading {package.files} files, {package.size / 1e6:.1f} MB"
    sent = 0
    for chunk in package.chunks():
        report(text, sent / package.size)
        yield chunk
        sent += len(chunk)
    report(text, 1.0)


def _say_left_out(package: Package) -> None:
    names = package.left_out
    if names:
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        say(f"Left out: {', '.join(map(safe, names[:_NAMED]))}{more}")
