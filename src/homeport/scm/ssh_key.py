"""`/api/sshkey`: the key that the site's git uses (Kudu reference §5.7)."""

import asyncio
from contextlib import AbstractContextManager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict, Invalid
from homeport.scm.atomic_file import read_small, replace_file
from homeport.scm.http.answers import json_answer, nothing
from homeport.scm.http.bodies import is_json, json_object
from homeport.scm.http.query import query_text
from homeport.scm.lock_file import held_lock

_MOST_BYTES = 64 * 1024
_WAIT_SECONDS = 5.0
_KEY_BITS = 2048
_CONFIG = b"HOST *\n  StrictHostKeyChecking no\n"


class SshKeyEndpoint:
    """The pair `.ssh/id_rsa`, `.ssh/id_rsa.pub` of one site."""

    def __init__(self, home: Path) -> None:
        self._folder = home / ".ssh"
        self._lock = home / "site/locks/sshkey.lock"

    async def read(self, request: Request) -> Response:
        """GET: the public key as a JSON string, empty where there is none; `ensurePublicKey=1` makes a pair."""
        ensure = (query_text(request, "ensurePublicKey") or "").strip().casefold() in {"1", "true"}
        if ensure:
            await asyncio.to_thread(self._ensure)
        return json_answer(self._public())

    async def write(self, request: Request) -> Response:
        """PUT: a private key, as JSON or as the body; the public one that was stored is forgotten."""
        if is_json(request):
            key = str((await json_object(request)).get("key") or "").encode()
        else:
            key = await _body(request)
        if not key.strip():
            raise Invalid("The key is empty: send a private key in PEM form.")
        await asyncio.to_thread(self._replace, key.replace(b"\r\n", b"\n").rstrip() + b"\n")
        return nothing(204)

    async def delete(self, _request: Request) -> Response:
        """DELETE: forget both."""
        await asyncio.to_thread(self._forget)
        return nothing(204)

    def _ensure(self) -> None:
        with self._held():
            if not self._public():
                private, public = _new_pair()
                self._store("id_rsa", private, mode=0o600)
                self._store("id_rsa.pub", public, mode=0o644)

    def _replace(self, private: bytes) -> None:
        with self._held():
            self._store("id_rsa", private, mode=0o600)
            (self._folder / "id_rsa.pub").unlink(missing_ok=True)
            self._store("config", _CONFIG, mode=0o600)

    def _forget(self) -> None:
        with self._held():
            for name in ("id_rsa", "id_rsa.pub"):
                (self._folder / name).unlink(missing_ok=True)

    def _public(self) -> str:
        data = read_small(self._folder / "id_rsa.pub", limit=_MOST_BYTES)
        return "" if data is None else data.decode("utf-8", "replace").strip()

    def _store(self, name: str, data: bytes, *, mode: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._folder / name, data, mode=mode)

    def _held(self) -> AbstractContextManager[None]:
        busy = Conflict("Another request works on the SSH key. Please try again later.")
        return held_lock(self._lock, seconds=_WAIT_SECONDS, busy=busy)


async def _body(request: Request) -> bytes:
    data = b""
    async for chunk in request.stream():
        data += chunk
        if len(data) > _MOST_BYTES:
            raise Invalid(f"The key is larger than {_MOST_BYTES} bytes.")
    return data


def _new_pair() -> tuple[bytes, bytes]:
    # Late: cryptography is a tenth of a cold start, and keys are made once.
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return private, public + b"\n"
