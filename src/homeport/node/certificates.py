"""The local certificate authority, made at the first start, and the certificates that nginx shows.

Each certificate is one file with its key first, which nginx reads when a connection asks for it.
"""

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

from homeport.model.host_name import covers_host
from homeport.model.site import DesiredSite, SiteCertificate

_AUTHORITY_NAME = "Homeport local authority"
FTP_CERTIFICATE = "ftp.pem"
"""In a folder of its own, because the FTP front is to see no other."""
_PLATFORM = "_platform"
"""No site can have this name."""
_VALID = timedelta(days=397)
"""Some browsers believe nothing that is valid for longer."""
_CLOCKS_DIFFER = timedelta(days=1)
_RENEWED_BEFORE_END = timedelta(days=30)


class LocalAuthority:
    """Issues certificates that a person trusts by importing one file, `<tls>/ca.pem`.

    `group` may read the certificates with their keys (nginx's workers; None: nobody else). Nobody but us reads the
    authority's own key.
    """

    def __init__(self, folder: Path, *, group: int | None = None) -> None:
        self._folder = folder
        self._group = group
        self._hosts = folder / "hosts"
        self._ftp = folder / "ftp"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for each in (self._hosts, self._ftp):
            each.mkdir(exist_ok=True, mode=0o700)
            if group is not None:
                os.chown(each, -1, group)
                each.chmod(0o710)
        self._authority = self._load() or self._create()
        self._own = x509.load_pem_x509_certificate(self._authority.cert_pem.bytes())

    @property
    def certificate(self) -> Path:
        """The authority's own certificate, to be imported into browsers."""
        return self._folder / "ca.pem"

    def issue_platform(self, domain: str) -> Path:
        """Return the certificate of the platform's own names, and of every site's where a wildcard can cover them."""
        wildcard = (f"*.{domain}",) if has_wildcard(domain) else ()
        return self.issue(_PLATFORM, (domain, f"*.scm.{domain}", *wildcard))

    def issue_ftp(self, domain: str) -> Path:
        """Return the certificate of `ftp.<domain>`, and of the names by which clients may come instead."""
        wildcard = (f"*.{domain}",) if has_wildcard(domain) else ()
        return self._issue(self._ftp / FTP_CERTIFICATE, (f"ftp.{domain}", domain, *wildcard))

    def issue(self, name: str, hostnames: tuple[str, ...]) -> Path:
        """Return the file for these host names, made anew when they changed, it ends soon or another authority made it."""
        return self._issue(self._hosts / f"{name}.pem", hostnames)

    def _issue(self, path: Path, hostnames: tuple[str, ...]) -> Path:
        if not (path.exists() and self._still_good(path, set(hostnames))):
            now = datetime.now(UTC)
            leaf = self._authority.issue_cert(
                *hostnames, not_before=now - _CLOCKS_DIFFER, not_after=now - _CLOCKS_DIFFER + _VALID
            )
            parts = (leaf.private_key_pem, *leaf.cert_chain_pems)
            _write(path, b"".join(part.bytes() for part in parts), mode=0o600, group=self._group)
        return path

    def keep(self, site: str, given: Mapping[str, str]) -> None:
        """Keep exactly these given certificates of a site: PEM texts by thumbprint, in `<site>.<thumbprint>.pem`."""
        files = {self._hosts / f"{site}.{thumbprint}.pem": pem for thumbprint, pem in given.items()}
        for path in set(self._hosts.glob(f"{site}.*.pem")) - files.keys():
            path.unlink()
        for path, pem in files.items():
            _write(path, pem.encode(), mode=0o600, group=self._group)

    def forget(self, site: str) -> None:
        """Remove all certificates of a site."""
        self.keep(site, {})
        (self._hosts / f"{site}.pem").unlink(missing_ok=True)

    def _still_good(self, path: Path, hostnames: set[str]) -> bool:
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
            certificate.verify_directly_issued_by(self._own)
        except (ValueError, InvalidSignature):
            return False
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        ends = certificate.not_valid_after_utc
        return (
            set(names.get_values_for_type(x509.DNSName)) == hostnames
            and ends - datetime.now(UTC) > _RENEWED_BEFORE_END
        )

    def _load(self) -> trustme.CA | None:
        key = self._folder / "ca.key"
        if not (self.certificate.exists() and key.exists()):
            return None
        return trustme.CA.from_pem(self.certificate.read_bytes(), key.read_bytes())

    def _create(self) -> trustme.CA:
        authority = trustme.CA(organization_name=_AUTHORITY_NAME)
        _write(self._folder / "ca.key", authority.private_key_pem.bytes(), mode=0o600)
        _write(self.certificate, authority.cert_pem.bytes(), mode=0o644)
        return authority


class SiteCertificates:
    """The certificates of one site, written when its names or the given certificates change.

    `view` is the folder of certificates where nginx sees it.
    """

    def __init__(self, authority: LocalAuthority, *, domain: str, view: Path) -> None:
        self._authority = authority
        self._domain = domain
        self._view = view
        self._given: tuple[SiteCertificate, ...] | None = None
        self._issued: tuple[str, ...] = ()

    def files(self, site: DesiredSite) -> dict[str, str]:
        """Return the file, where nginx sees it, for each host name that needs another than the platform's."""
        if site.certificates != self._given:
            self._authority.keep(site.name, {each.thumbprint: each.pem for each in site.certificates})
            self._given = site.certificates
        given = {name: self._find(name, site) for name in site.hostnames}
        issued = tuple(name for name in site.hostnames if not (given[name] or self._has_platforms(name)))
        if issued and issued != self._issued:
            self._authority.issue(site.name, issued)
        self._issued = issued
        files = {name: f"{site.name}.{thumbprint}.pem" for name, thumbprint in given.items() if thumbprint}
        files |= dict.fromkeys(issued, f"{site.name}.pem")
        return {name: str(self._view / file) for name, file in files.items()}

    def renew(self, site: str) -> None:
        """Replace the certificate that we made, if it ends soon."""
        if self._issued:
            self._authority.issue(site, self._issued)

    def _find(self, host: str, site: DesiredSite) -> str | None:
        """Find the given certificate for a host name, one that names it before one with a wildcard."""
        exact = (each.thumbprint for each in site.certificates if host in each.names)
        wild = (each.thumbprint for each in site.certificates if covers_host(each.names, host))
        return next(exact, None) or next(wild, None)

    def _has_platforms(self, host: str) -> bool:
        return has_wildcard(self._domain) and covers_host((f"*.{self._domain}",), host)


def has_wildcard(domain: str) -> bool:
    """Tell whether clients believe `*.domain`: not below a name of one label, as `localhost` is."""
    return "." in domain


def _write(path: Path, data: bytes, *, mode: int, group: int | None = None) -> None:
    aside = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        if group is not None:
            os.fchown(descriptor, -1, group)
            os.fchmod(descriptor, mode | 0o040)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
