"""Secrets in the database: encrypted with a key that lies beside it, in a file only we can read."""

import hmac
import os
import secrets
import string
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken

from homeport.model.errors import Unavailable
from homeport.model.secret import Secret

PASSWORD_LENGTH = 60
"""As long as the passwords of App Service's publish profiles."""
_ALPHABET = string.ascii_letters + string.digits


class SecretBox:
    """Encrypts and decrypts with one key."""

    def __init__(self, key: bytes) -> None:
        self._fernet = Fernet(key)
        self._key = key

    def derived(self, purpose: str) -> str:
        """Return 64 hexadecimal digits of this platform for a purpose; they tell nothing of the key or of others."""
        return hmac.new(self._key, purpose.encode(), "sha256").hexdigest().upper()

    def seal(self, secret: Secret) -> bytes:
        """Return the encrypted form."""
        return self._fernet.encrypt(secret.reveal().encode())

    def open(self, sealed: bytes) -> Secret:
        """Return the secret. Raises `Unavailable` when the key is another one."""
        try:
            return Secret(self._fernet.decrypt(sealed).decode())
        except InvalidToken as error:
            raise Unavailable(
                "The stored secrets do not fit the key file 'control/key'; restore the key that belongs to them.",
                code="WrongKey",
            ) from error


def open_secret_box(key_file: Path) -> SecretBox:
    """Read the key, or make one at the first start; a kill leaves either no key file or a whole one."""
    try:
        return SecretBox(key_file.read_bytes())
    except FileNotFoundError:
        key = Fernet.generate_key()
        aside = key_file.with_name(key_file.name + ".new")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())
        aside.rename(key_file)
        return SecretBox(key)


def new_password() -> Secret:
    """Return a random publishing password."""
    return Secret("".join(secrets.choice(_ALPHABET) for _ in range(PASSWORD_LENGTH)))
