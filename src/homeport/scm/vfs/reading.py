"""A file as an answer: whole, in one range or in several, streamed in constant memory."""

import asyncio
import os
import stat
import uuid
from collections.abc import AsyncIterator, Sequence
from email.utils import formatdate
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from homeport.scm.http.answers import exception_detail, message
from homeport.scm.vfs.conditions import Span, entity_tag, matches, parse_ranges
from homeport.scm.vfs.media_types import media_type_of
from homeport.scm.vfs.places import Place

_READ_BYTES = 256 * 1024
_FETCH_BYTES = 1024 * 1024
_TURN_BYTES = 1024 * 1024
# A page among the site's files must not act as the SCM site in its owner's browser.
_HARDENING = {"x-content-type-options": "nosniff", "content-security-policy": "sandbox"}


def file_answer(request: Request, place: Place) -> Response:
    """Answer GET or HEAD of a file; one that cannot be opened is 404 with the reason."""
    try:
        file = _open(place)
    except OSError as error:
        return exception_detail(404, error)
    found = os.fstat(file.fileno())
    kind = media_type_of(place.path.name)
    tag = entity_tag(found.st_mtime_ns)
    modified = formatdate(found.st_mtime, usegmt=True)
    headers = {"etag": tag, "last-modified": modified, **_HARDENING}
    spans = _asked(request, length=found.st_size, validators=(tag, modified))
    if spans is None and matches(request.headers.get("if-none-match"), tag):
        file.close()
        return Response(status_code=304, headers=headers)
    if spans is None:
        whole = Span(0, found.st_size - 1)
        return _stream(request, file, [(b"", whole)], status=200, headers={**headers, "content-type": kind})
    return _partial(request, file, spans, length=found.st_size, kind=kind, headers=headers)


def _open(place: Place) -> BinaryIO:
    # O_NONBLOCK: a FIFO in the place of a file must not hold the answer; O_NOFOLLOW: links were resolved before.
    descriptor = os.open(place.target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PermissionError(f"'{place.shown}' is not a regular file.")
    return os.fdopen(descriptor, "rb", buffering=0)


def _asked(request: Request, *, length: int, validators: tuple[str, str]) -> list[Span] | None:
    condition = request.headers.get("if-range")
    if condition is not None and condition.strip() not in validators:
        return None
    return parse_ranges(request.headers.get("range"), length)


def _partial(
    request: Request,
    file: BinaryIO,
    spans: Sequence[Span],
    *,
    length: int,
    kind: str,
    headers: dict[str, str],
) -> Response:
    if not spans:
        file.close()
        refused = {**headers, "content-range": f"bytes */{length}"}
        return message(416, "None of the requested ranges lies within the file.", headers=refused)
    if len(spans) == 1:
        ranged = {**headers, "content-range": _content_range(spans[0], length), "content-type": kind}
        return _stream(request, file, [(b"", spans[0])], status=206, headers=ranged)
    boundary = uuid.uuid4().hex
    parts = []
    for position, span in enumerate(spans):
        head = (
            f"--{boundary}\r\nContent-Type: {kind}\r\nContent-Range: {_content_range(span, length)}\r\n\r\n"
        )
        parts.append(((b"\r\n" if position else b"") + head.encode(), span))
    several = {**headers, "content-type": f'multipart/byteranges; boundary="{boundary}"'}
    end = f"\r\n--{boundary}--\r\n".encode()
    return _stream(request, file, parts, status=206, headers=several, end=end)


def _content_range(span: Span, length: int) -> str:
    return f"bytes {span.first}-{span.last}/{length}"


def _stream(
    request: Request,
    file: BinaryIO,
    parts: Sequence[tuple[bytes, Span]],
    *,
    status: int,
    headers: dict[str, str],
    end: bytes = b"",
) -> Response:
    total = sum(len(head) + span.length for head, span in parts) + len(end)
    headers = {**headers, "content-length": str(total)}
    if request.method == "HEAD":
        file.close()
        return Response(status_code=status, headers=headers)
    return StreamingResponse(_pieces(file, parts, end), status_code=status, headers=headers)


async def _pieces(
    file: BinaryIO, parts: Sequence[tuple[bytes, Span]], end: bytes
) -> AsyncIterator[bytes | memoryview]:
    sent = 0
    with file:
        for head, span in parts:
            if head:
                yield head
            position, left = span.first, span.length
            while left > 0:
                data: bytes | memoryview | None = _cached(file, min(left, _READ_BYTES), position)
                if data is None:
                    data = await asyncio.to_thread(os.pread, file.fileno(), min(left, _FETCH_BYTES), position)
                if not data:
                    return  # the file was cut short meanwhile: the server ends the connection, as it must
                yield data
                position += len(data)
                left -= len(data)
                sent += len(data)
                if sent >= _TURN_BYTES:
                    sent = 0
                    await asyncio.sleep(0)  # others' turn: a quick reader might never make us wait
        if end:
            yield end


def _cached(file: BinaryIO, size: int, position: int) -> memoryview | None:
    """Read what is in memory; None when that would wait for the disk, or where the file system cannot tell."""
    buffer = bytearray(size)
    try:
        count = os.preadv(file.fileno(), [buffer], position, os.RWF_NOWAIT)
    except OSError:
        return None
    return memoryview(buffer)[:count]
