"""Bodies of requests: JSON within bounds, or streamed to a file in constant memory."""

import asyncio
from typing import Any, BinaryIO

from starlette.requests import Request
from starlette.responses import Response

from homeport.model.errors import Invalid
from homeport.scm.http.answers import message, nothing
from homeport.scm.http.lenient_json import parse_lenient
from homeport.scm.http.protocol import move_body

_JSON_TYPES = frozenset({"application/json", "text/json"})
_JSON_BYTES = 4 * 1024 * 1024
_WRITE_BYTES = 1024 * 1024
PACKAGE_BYTES = 4 * 1024**3
"""The largest body of a request (Kudu reference §0.3)."""


class Refused(Exception):
    """A body that the framework would not have handed to a controller; carries the answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def media_type(request: Request) -> str:
    """Return the request's media type in lower case, without parameters."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def is_json(request: Request) -> bool:
    """Tell whether the body says that it is JSON."""
    return media_type(request) in _JSON_TYPES


async def json_object(request: Request) -> dict[str, Any]:
    """Read a JSON object; raises `Refused` with 400 (nothing, null or malformed), 413 or 415."""
    body = await bounded_body(request)
    if not body.strip():
        raise Refused(nothing(400))
    if not is_json(request):
        kind = media_type(request) or "none"
        raise Refused(
            message(415, f"The media type '{kind}' of the body is not supported: send application/json.")
        )
    try:
        value = parse_lenient(body.decode("utf-8-sig"))
    except ValueError as error:
        raise Refused(nothing(400)) from error
    if not isinstance(value, dict):
        raise Refused(nothing(400))
    return value


async def store_body(request: Request, file: BinaryIO, *, limit: int = PACKAGE_BYTES) -> int:
    """Write the body to `file` as it arrives and return its length in bytes.

    Raises `Invalid` above `limit`, `OSError` as the file does, `ClientDisconnect` when the caller went away.
    """
    moved = await move_body(request, file, most=limit)
    if moved is not None:
        return moved
    total, waiting, held = 0, 0, list[bytes]()
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit:
            raise Invalid(f"The body is larger than {limit} bytes.", code="BodyTooLarge")
        held.append(chunk)
        waiting += len(chunk)
        if waiting >= _WRITE_BYTES:
            await asyncio.to_thread(file.writelines, held)
            waiting, held = 0, []
    await asyncio.to_thread(file.writelines, held)
    await asyncio.to_thread(file.flush)
    return total


async def discard_body(request: Request, *, limit: int = 64 * 1024 * 1024) -> None:
    """Read a refused body away, so that the caller gets to read the answer; give up above `limit` bytes."""
    total = 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > limit:
            return


async def bounded_body(request: Request) -> bytes:
    """Read a small body; raises `Refused` with 413."""
    chunks, total = [], 0
    async for chunk in request.stream():
        total += len(chunk)
        if total > _JSON_BYTES:
            raise Refused(message(413, f"The body is larger than {_JSON_BYTES} bytes."))
        chunks.append(chunk)
    return b"".join(chunks)
