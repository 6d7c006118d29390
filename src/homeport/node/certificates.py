"""The local certificate authority, made at the first start, and the certificates that nginx shows.

Each certificate is one file with its key first, which nginx reads when a connection asks for it.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.exceptions import InvalidSignature

_AUTHORITY_NAME = "Homeport local authority"
_PLATFORM = "_platform"
"""No site can have this name."""
_VALID = timedelta(days=397)
"""Some browsers believe nothing that is valid for longer."""
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
        for each in (folder, self._hosts):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)
        if group is not None:
            os.chown(self._hosts, -1, group)
            self._hosts.chmod(0o710)
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

    def issue(self, name: str, hostnames: tuple[str, ...]) -> Path:
        """Return the file for these host names, made anew when they changed, it ends soon or another authority made it."""
        path = self._hosts / f"{name}.pem"
        if not (path.exists() and self._still_good(path, set(hostnames))):
            leaf = self._authority.issue_cert(*hostnames, not_after=datetime.now(UTC) + _VALID)
            parts = (leaf.private_key_pem, *leaf.cert_chain_pems)
            _write(path, b"".join(part.bytes() for part in parts), mode=0o600, group=self._group)
        return path

    def forget(self, name: str) -> None:
        """Remove a site's certificate."""
        (self._hosts / f"{name}.pem").unlink(missing_ok=True)

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


def has_wildcard(domain: str) -> bool:
    """Tell whether clients believe `*.domain`: not below a name of one label, as `localhost` is."""
    return "." in domain


def below(name: str, domain: str) -> bool:
    """Tell whether a host name is one label below a domain: what `*.domain` covers."""
    label, _, rest = name.partition(".")
    return bool(label) and rest == domain


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
