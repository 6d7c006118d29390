"""`homeport up`, `run-sample`, `status`: the platform itself."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

import homeport
from homeport.cli.commands.deploy import deploy_to
from homeport.cli.control_client import ControlClient, open_control
from homeport.cli.options import AsJson, Data
from homeport.cli.output import progress, say, show_json, show_line
from homeport.model.errors import HomeportError, Invalid, NotFound
from homeport.node.options import PlatformOptions, default_data

HttpPort = Annotated[int, typer.Option("--http", min=0, max=65535, help="Port for HTTP; 0 picks a free one.")]
HttpsPort = Annotated[
    int, typer.Option("--https", min=0, max=65535, help="Port for HTTPS; 0 picks a free one.")
]
Domain = Annotated[str, typer.Option("--domain", help="Sites are served as SITE.DOMAIN and SITE.scm.DOMAIN.")]
Listen = Annotated[
    list[str] | None,
    typer.Option(
        "--listen",
        metavar="ADDRESS",
        help="An address to listen on (IPv6 in brackets), can be given several times.",
        show_default="loopback for the domain localhost, every address otherwise",
    ),
]
Ftp = Annotated[
    int | None,
    typer.Option(
        "--ftp",
        min=0,
        max=65535,
        help="Port for FTP with explicit TLS, 21 by custom; 0 picks a free one.",
        show_default="off",
    ),
]
Ftps = Annotated[
    int | None,
    typer.Option(
        "--ftps",
        min=0,
        max=65535,
        help="Port for FTP with implicit TLS, 990 by custom; 0 picks a free one.",
        show_default="off",
    ),
]
FtpPassive = Annotated[
    str,
    typer.Option("--ftp-passive", metavar="FIRST-LAST", help="Ports for the data connections of FTP."),
]

_SAMPLE_SITE = "sample"
_SAMPLE_EXTENSION = "python361x64"
"""The Python that the sample's web.config names."""


def up(
    *,
    data: Data = None,
    http: HttpPort = 8080,
    https: HttpsPort = 8443,
    domain: Domain = "localhost",
    listen: Listen = None,
    ftp: Ftp = None,
    ftps: Ftps = None,
    ftp_passive: FtpPassive = "10001-10300",
) -> None:
    """Run the whole platform in the foreground until it is told to stop.

    Prints a line for each address, then a line that starts with `ready`.
    """
    options = _platform_options(
        data,
        http=http,
        https=https,
        domain=domain,
        listen=listen,
        ftp=ftp,
        ftps=ftps,
        ftp_passive=ftp_passive,
    )
    _run(options, say=show_line)


def run_sample(
    *,
    data: Data = None,
    http: HttpPort = 8080,
    https: HttpsPort = 8443,
    domain: Domain = "localhost",
    listen: Listen = None,
    ftp: Ftp = None,
    ftps: Ftps = None,
    ftp_passive: FtpPassive = "10001-10300",
) -> None:
    """Run the platform as `up` does, and host a sample Flask site on it (from a checkout: `make run`)."""
    folder = sample_folder()
    options = _platform_options(
        data,
        http=http,
        https=https,
        domain=domain,
        listen=listen,
        ftp=ftp,
        ftps=ftps,
        ftp_passive=ftp_passive,
    )
    problems: list[str] = []

    def host(ready: str) -> None:
        try:
            url = _host_sample(options.data, folder)
        except HomeportError as error:
            problems.append(error.message)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        show_line(f"sample {url}")
        show_line(ready)

    def announce(text: str) -> None:
        if text.startswith("ready"):
            threading.Thread(target=host, args=(text,), daemon=True).start()
        else:
            show_line(text)

    _run(options, say=announce)
    if problems:
        raise Invalid(f"The sample site could not be hosted: {problems[0]}")


def status(*, data: Data = None, as_json: AsJson = False) -> None:
    """Show where the platform listens, what it hosts, and which protections this machine cannot give."""
    with open_control(data) as control:
        found = control.status()
    if as_json:
        show_json(found)
        return
    for name in ("http", "https", "ftp", "ftps", "domain", "data", "agent", "version"):
        if found[name] is not None:
            show_line(f"{name:<10}{found[name]}")
    show_line(f"{'sites':<10}{found['sites']} ({found['running']} running, {found['processes']} processes)")
    for missing in found["missing"]:
        show_line(f"{'missing':<10}{missing}")


def sample_folder() -> Path:
    """Return the sample's folder in a checkout. Raises `NotFound` outside of one."""
    folder = Path(homeport.__file__).parents[2] / "samples/flask"
    if not folder.is_dir():
        raise NotFound("The sample site is part of a checkout of Homeport; run `make run` in one.")
    return folder


def _platform_options(
    data: Path | None,
    *,
    http: int,
    https: int,
    domain: str,
    listen: list[str] | None,
    ftp: int | None,
    ftps: int | None,
    ftp_passive: str,
) -> PlatformOptions:
    return PlatformOptions(
        data=(data or default_data()).absolute(),
        http_port=http,
        https_port=https,
        domain=domain.lower(),
        listen=tuple(listen or ()),
        ftp_port=ftp,
        ftps_port=ftps,
        ftp_passive=_port_range(ftp_passive),
    )


def _port_range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) <= int(last) <= 65535):
        raise Invalid(f"'{text}' is no range of ports: write FIRST-LAST, from 1024 to 65535.")
    return int(first), int(last)


def _run(options: PlatformOptions, *, say: Callable[[str], None]) -> None:
    # Imported here, because the other commands need not load the platform.
    from homeport.node.supervisor import run

    run(options, say=say)


def _host_sample(data: Path, folder: Path) -> str:
    with open_control(data) as control:
        names = {site["name"] for site in control.sites()}
        if _SAMPLE_SITE not in names:
            control.create(_SAMPLE_SITE)
        if not control.extensions(_SAMPLE_SITE):
            _add_python(control)
        say("Deploying the sample site")
        record = deploy_to(control, _SAMPLE_SITE, folder, build=True, clean=False, message="The sample site")
        return str(record["url"])


def _add_python(control: ControlClient) -> None:
    """Add the Python that the sample names, or the recommended one where there is no such minor version."""
    recommended = [entry["id"] for entry in control.gallery() if entry["recommended"]]
    with progress() as report:
        try:
            control.install(_SAMPLE_SITE, _SAMPLE_EXTENSION, policy="same-minor", report=report)
        except HomeportError as error:
            if not recommended:
                raise
            say(f"{error.message} Using {recommended[0]} instead.")
            control.install(_SAMPLE_SITE, recommended[0], policy="same-minor", report=report)
