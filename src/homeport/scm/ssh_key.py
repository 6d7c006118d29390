"""`/api/sshkey`: the key that the site's git uses (Kudu reference §5.7)."""

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Conflict, Invalid
from homeport.scm.atomic_file import read_small, replace_file
from homeport.scm.http.answers import json_answer, nothing
from homeport.scm.http.bodies import is_json, json_object
from homeport.scm.http.query import query_text

_MOST_BYTES = 64 * 1024
_WAIT_SECONDS = 5.0
_RETRY_SECONDS = 0.1
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
        if not ensure:
            return json_answer(self._public())
        async with self._held():
            if not self._public():
                private, public = await asyncio.to_thread(_new_pair)
                self._store("id_rsa", private, mode=0o600)
                self._store("id_rsa.pub", public, mode=0o644)
            return json_answer(self._public())

    async def write(self, request: Request) -> Response:
        """PUT: a private key, as JSON or as the body; the public one that was stored is forgotten."""
        if is_json(request):
            key = str((await json_object(request)).get("key") or "").encode()
        else:
            key = await _body(request)
        if not key.strip():
            raise Invalid("The key is empty: send a private key in PEM form.")
        async with self._held():
            self._store("id_rsa", key.replace(b"\r\n", b"\n").rstrip() + b"\n", mode=0o600)
            (self._folder / "id_rsa.pub").unlink(missing_ok=True)
            self._store("config", _CONFIG, mode=0o600)
        return nothing(204)

    async def delete(self, _request: Request) -> Response:
        """DELETE: forget both."""
        async with self._held():
            for name in ("id_rsa", "id_rsa.pub"):
                (self._folder / name).unlink(missing_ok=True)
        return nothing(204)

    def _public(self) -> str:
        data = read_small(self._folder / "id_rsa.pub", limit=_MOST_BYTES)
        return "" if data is None else data.decode("utf-8", "replace").strip()

    def _store(self, name: str, data: bytes, *, mode: int) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._folder / name, data, mode=mode)

    @asynccontextmanager
    async def _held(self) -> AsyncIterator[None]:
        """Hold the lock of the keys; raises `Conflict` when another holds it for five seconds."""
        self._lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            deadline = time.monotonic() + _WAIT_SECONDS
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                if time.monotonic() > deadline:
                    raise Conflict("Another request works on the SSH key. Please try again later.")
                await asyncio.sleep(_RETRY_SECONDS)
            yield
        finally:
            os.close(descriptor)


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
