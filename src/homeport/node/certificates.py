"""The local certificate authority, made at the first start, and the certificate of each site."""

import os
from pathlib import Path

import trustme
from cryptography import x509

_AUTHORITY_NAME = "Homeport local authority"


class LocalAuthority:
    """Issues certificates that a person trusts by importing one file, `<tls>/ca.pem`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._authority = self._load() or self._create()

    @property
    def certificate(self) -> Path:
        """The authority's own certificate, to be imported into browsers."""
        return self._folder / "ca.pem"

    def issue(self, name: str, hostnames: tuple[str, ...]) -> tuple[Path, Path]:
        """Return the (certificate chain, key) files for these host names, made anew only when the names changed."""
        chain, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        if chain.exists() and key.exists() and _names(chain) == set(hostnames):
            return chain, key
        leaf = self._authority.issue_cert(*hostnames)
        _write(key, leaf.private_key_pem.bytes(), mode=0o600)
        _write(chain, b"".join(blob.bytes() for blob in leaf.cert_chain_pems), mode=0o644)
        return chain, key

    def forget(self, name: str) -> None:
        """Remove a site's certificate."""
        for suffix in ("pem", "key"):
            (self._folder / f"{name}.{suffix}").unlink(missing_ok=True)

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


def _names(chain: Path) -> set[str]:
    certificate = x509.load_pem_x509_certificate(chain.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return set(names.get_values_for_type(x509.DNSName))


def _write(path: Path, data: bytes, *, mode: int) -> None:
    aside = path.with_suffix(path.suffix + ".new")
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
