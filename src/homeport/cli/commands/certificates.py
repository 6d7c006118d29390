"""`homeport certificate …` and `homeport ca …`: what HTTPS is believed by."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from homeport.cli.control_client import open_control
from homeport.cli.options import AsJson, Data, Site
from homeport.cli.output import safe, say, show_json, show_line
from homeport.model.errors import Forbidden, Invalid, NotFound, Unavailable
from homeport.node.options import default_data

app = typer.Typer(help="Certificates of your own for a site's names.", no_args_is_help=True)
authority = typer.Typer(
    help="The platform's own authority, which signs what you gave no certificate for.", no_args_is_help=True
)
_TRUSTED = Path("/usr/local/share/ca-certificates/homeport.crt")


@app.command("add")
def add_certificate(
    site: Site,
    *,
    cert: Annotated[Path, typer.Option("--cert", help="PEM file: the certificate, then its signers.")],
    key: Annotated[Path, typer.Option("--key", help="PEM file: its private key, without a password.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Serve those of a site's names that a certificate is for with it, from the next connection on."""
    with open_control(data) as control:
        made = control.add_certificate(site, _text(cert), _text(key))
    if as_json:
        show_json(made)
    else:
        show_line(f"{made['thumbprint']} is shown for {', '.join(made['served'])}")


@app.command("list")
def list_certificates(site: Site, *, data: Data = None, as_json: AsJson = False) -> None:
    """List the certificates that were given for a site."""
    with open_control(data) as control:
        found = control.site(site)["certificates"]
    if as_json:
        show_json(found)
        return
    for each in found:
        show_line(f"{each['thumbprint']}  {', '.join(safe(name) for name in each['names'])}")
    if not found:
        say("None; the platform's own authority signs: homeport ca show")


@app.command("remove")
def remove_certificate(
    site: Site,
    thumbprint: Annotated[str, typer.Argument(metavar="THUMBPRINT")],
    *,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Forget a certificate; the platform's own authority signs for its names again."""
    with open_control(data) as control:
        control.remove_certificate(site, thumbprint)
    if as_json:
        show_json({"removed": thumbprint})
    else:
        show_line(f"{thumbprint} is removed")


@authority.command("show")
def show_authority(*, data: Data = None, as_json: AsJson = False) -> None:
    """Show the authority: its file, its fingerprint, its end."""
    path, pem = _authority(data)
    certificate = x509.load_pem_x509_certificate(pem)
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex(":").upper()
    ends = certificate.not_valid_after_utc
    if as_json:
        show_json({"file": str(path), "sha256": fingerprint, "not_after": ends.isoformat()})
        return
    show_line(f"file      {path}")
    show_line(f"sha256    {fingerprint}")
    show_line(f"ends      {ends:%Y-%m-%d}")
    say("Trust it on this machine: homeport ca install. In a browser: import what homeport ca export prints.")


@authority.command("export")
def export_authority(*, data: Data = None) -> None:
    """Print the authority's certificate as PEM, to be imported where the sites are to be trusted; it holds no key."""
    show_line(_authority(data)[1].decode().rstrip())


@authority.command("install")
def install_authority(*, data: Data = None) -> None:
    """Have this machine trust the authority: curl, Python, git. Browsers keep lists of their own (see the guide)."""
    _, pem = _authority(data)
    if shutil.which("update-ca-certificates") is None:
        raise Unavailable(
            "This system has no update-ca-certificates (package ca-certificates); "
            "import what homeport ca export prints by the system's own way."
        )
    try:
        _TRUSTED.parent.mkdir(parents=True, exist_ok=True)
        _TRUSTED.write_bytes(pem)
        subprocess.run(("update-ca-certificates",), check=True, capture_output=True, text=True)
    except PermissionError as error:
        raise Forbidden("Only root can change what this machine trusts: sudo homeport ca install") from error
    except subprocess.CalledProcessError as error:
        raise Unavailable(f"update-ca-certificates failed: {error.stderr.strip()[-300:]}") from error
    show_line(f"{_TRUSTED} is trusted")


def _authority(data: Path | None) -> tuple[Path, bytes]:
    path = (data or default_data()) / "tls/ca.pem"
    try:
        return path, path.read_bytes()
    except PermissionError as error:
        raise Forbidden(
            f"{path} belongs to another user; run the command as that user (sudo homeport …)."
        ) from error
    except OSError as error:
        raise NotFound(f"There is no {path} yet; it is made at the first start: homeport up") from error


def _text(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{path} is not readable as text: {error}.") from error
