"""The way of one response: `start_response`, `write`, the iterable, and the records they become."""

import socket
from typing import Any, Callable, Iterable, Optional

from homeport.worker import fastcgi
from homeport.worker.connection import ClientGone, output_buffers, send
from homeport.worker.heads import Heads
from homeport.worker.slot import Slot

_COPY_LIMIT = 16384
"""Below this many bytes, joining head, body and end costs less than handing the kernel several buffers."""
_UNUSABLE_RECORD = bytes(fastcgi.HEADER_SIZE)
"""A record of version 0. nginx takes a connection that merely closes for the regular end of a body without a length;
this makes it cut its client off, so that nobody mistakes half a page for a whole one."""

_pack = fastcgi.HEADER.pack


class Response:
    """What one request is answered with. It keeps to one order: start, head with the first bytes, body, end."""

    # Defaults of the class: an instance is made for each request, and sets only what is its own.
    _head: Optional[bytes] = None
    _left: Optional[int] = None
    head_sent = False
    ended = False
    whole = False
    """Whether the end has gone out, so that the connection can take another request."""

    def __init__(self, heads: Heads, sock: socket.socket, slot: Slot, request_id: int, is_head: bool) -> None:
        self._heads = heads
        self._socket = sock
        self._slot = slot
        self._request_id = request_id
        self._bodiless = self._is_head = is_head

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        """PEP 3333's callable. Raises AssertionError when called twice, and what `Heads.render` raises."""
        if exc_info is not None:
            try:
                if self.head_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise AssertionError("start_response has already been called")
        if self.ended:
            raise AssertionError("start_response was called after the end of its request")
        self._head, self._left, bodiless = self._heads.render(status, headers)
        self._bodiless = bodiless or self._is_head
        return self.write

    def write(self, data: bytes) -> None:
        """PEP 3333's older way to send: pass bytes on at once."""
        if type(data) is not bytes:
            _require_bytes(data)
        if data and not self.ended:
            self._emit(data)

    def send(self, result: Iterable[bytes]) -> None:
        """Send what the application returned, and the end of the response."""
        kind = type(result)
        if (kind is list or kind is tuple) and len(result) == 1:  # type: ignore[arg-type]
            self._send_only(result[0])  # type: ignore[index]
            return
        for data in result:
            if type(data) is not bytes:
                _require_bytes(data)
            if data:
                if self.ended:
                    break  # more than Content-Length allows, or a body where there is none
                self._emit(data)
                if self._bodiless:
                    break
        if not self.ended:
            self._finish()

    def _send_only(self, data: bytes) -> None:
        """Send a body of one piece: its length is known, so it is told."""
        if type(data) is not bytes:
            _require_bytes(data)
        head = self._head
        if head is None:
            raise AssertionError("start_response has not yet been called")
        if self._left is None and not self.head_sent and (not self._bodiless or (self._is_head and data)):
            self._head = head = head + b"Content-Length: %d\r\n" % len(data)
            self._left = len(data)
        if data and self._left == len(data) and not self._bodiless and not self.head_sent:
            # The usual response, all of it at once.
            self.head_sent = self.ended = True
            self._transmit(head + b"\r\n", data, True)
            return
        if data and not self.ended:
            self._emit(data)
        if not self.ended:
            self._finish()

    def _emit(self, data: bytes) -> None:
        """Send bytes, with the head when they are the first and the end when they are the last."""
        head = b""
        if not self.head_sent:
            if self._head is None:
                raise AssertionError("start_response has not yet been called")
            if self._bodiless:
                self._finish()
                return
            head = self._head + b"\r\n"
            self.head_sent = True
        left = self._left
        if left is None:
            self._transmit(head, data, False)
        elif left > len(data):
            self._left = left - len(data)
            self._transmit(head, data, False)
        else:
            self.ended = True
            self._transmit(head, data if left == len(data) else data[:left], True)

    def _finish(self) -> None:
        head = b""
        if not self.head_sent:
            if self._head is None:
                raise AssertionError("start_response has not yet been called")
            head = self._head + b"\r\n"
            self.head_sent = True
        self.ended = True
        self._transmit(head, b"", True)

    def _transmit(self, head: bytes, data: bytes, last: bool) -> None:
        request_id = self._request_id
        tail = b""
        if last:
            tail = END_OF_FIRST if request_id == 1 else fastcgi.end_of_output(request_id)
        size = len(head) + len(data)
        if 0 < size <= _COPY_LIMIT:
            try:
                self._socket.sendall(
                    b"".join((_pack(1, 6, request_id, size, 0), head, data, tail)), socket.MSG_NOSIGNAL
                )
            except ConnectionError as error:
                raise ClientGone(str(error)) from None
        else:
            self._transmit_large(head, data, tail)
        if last:
            self.whole = True
        else:
            self._slot.touch()

    def _transmit_large(self, head: bytes, data: bytes, tail: bytes) -> None:
        portions = output_buffers(self._request_id, head, data) if head or data else [[]]
        portions[-1].append(tail)
        for buffers in portions:
            send(self._socket, buffers)
            self._slot.touch()

    def send_page(self, status: str, page: bytes) -> None:
        """Answer with a page of ours instead of whatever the application had begun to say."""
        self._head, self._left, _ = self._heads.render(
            status, [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]
        )
        self._bodiless = self._is_head
        self._emit(page)

    def break_off(self) -> None:
        """Make the web server notice that the response is not whole; the connection is to be closed next."""
        send(self._socket, [_UNUSABLE_RECORD])


END_OF_FIRST = fastcgi.end_of_output(1)
"""The end of a response to request 1, which is the only number that nginx uses."""


def _require_bytes(data: Any) -> None:
    if not isinstance(data, bytes):
        raise TypeError("the application must yield bytes, not {!r}".format(type(data).__name__))
