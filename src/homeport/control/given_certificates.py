"""Certificates that owners give: read, checked, and put into the one form that nginx takes."""

import itertools
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from homeport.control.store.sites import StoredCertificate
from homeport.model.errors import Invalid
from homeport.model.secret import Secret

_LEAST_RSA_BITS = 2048
_MOST_BYTES = 200_000


def read_certificate(chain: str, key: str, *, now: datetime) -> StoredCertificate:
    """Read PEM texts: the certificate with what signed it below, and its private key without a password.

    Raises `Invalid` when one is not readable, the key belongs to another certificate, the certificate is not valid
    now, names no host, or is followed by one that did not sign it.
    """
    certificates, private = _chain(chain), _key(key)
    leaf = certificates[0]
    if _public(leaf.public_key()) != _public(private.public_key()):
        raise Invalid("The key does not belong to the certificate.", code="KeyMismatch")
    _check_dates(leaf, now)
    for child, parent in itertools.pairwise(certificates):
        _check_signed(child, parent)
    names = _names(leaf)
    secret = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)
    return StoredCertificate(
        thumbprint=leaf.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303 — what App Service names them by
        names=names,
        pem=Secret((secret + public).decode()),
    )


def _chain(text: str) -> list[x509.Certificate]:
    try:
        if len(text) <= _MOST_BYTES:
            return x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        pass
    raise Invalid(
        "The certificate is not readable: give a PEM file that begins with -----BEGIN CERTIFICATE-----."
    )


def _key(text: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(text[:_MOST_BYTES].encode(), password=None)
    except TypeError:
        raise Invalid(
            "The key is protected by a password; remove it with: openssl pkey -in KEY -out PLAIN."
        ) from None
    except ValueError as error:
        raise Invalid(
            "The key is not readable: give a PEM file that begins with -----BEGIN PRIVATE KEY-----."
        ) from error
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)) or not isinstance(
        key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)
    ):
        raise Invalid("Browsers take RSA and elliptic curve (ECDSA) keys only; this is another kind.")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        raise Invalid(f"An RSA key of {key.key_size} bits is too short: use {_LEAST_RSA_BITS} or more.")
    return key


def _public(key: object) -> bytes:
    if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
        return b""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _check_dates(leaf: x509.Certificate, now: datetime) -> None:
    if now > leaf.not_valid_after_utc:
        raise Invalid(
            f"The certificate ended on {leaf.not_valid_after_utc:%Y-%m-%d}.", code="CertificateExpired"
        )
    if now < leaf.not_valid_before_utc:
        begins = leaf.not_valid_before_utc.astimezone(UTC)
        raise Invalid(f"The certificate is valid from {begins:%Y-%m-%d %H:%M} UTC on only.")


def _check_signed(child: x509.Certificate, parent: x509.Certificate) -> None:
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature) as error:
        subject = parent.subject.rfc4514_string()
        raise Invalid(
            f"The chain is out of order: '{subject}' did not sign the certificate above it. "
            "Put the host's certificate first, then each signer below."
        ) from error


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        names: list[str] = []
    else:
        names = [name.lower() for name in found.get_values_for_type(x509.DNSName)]
    if not names:
        raise Invalid("The certificate names no host (subject alternative name), so no client believes it.")
    return tuple(names)
