"""One accepted FastCGI connection, read record by record: the path for everything that is not plain.

The loops have a short way of their own for the requests that nginx usually sends. Whatever they do not recognise
comes here: parameters in several records, long bodies, management records, other web servers, nonsense.
"""

import select
import socket
from typing import Dict, List, Optional

from homeport.worker import fastcgi
from homeport.worker.fastcgi import ProtocolError
from homeport.worker.slot import Slot

PARAMS_WAIT_SECONDS = 60.0
"""How long a peer may be silent before its parameters are complete."""
BODY_WAIT_SECONDS = 300.0
"""How long it may be silent inside a body: the visitor may be slow, and nginx may be told not to buffer."""
DRAIN_WAIT_SECONDS = 2.0
DRAIN_BYTES = 64 << 20
RECEIVE_SIZE = 128 << 10
"""Bytes asked for at once."""
_KEPT_SIZE = 4 * RECEIVE_SIZE
IOV_RECORDS = 256
"""Records in one sendmsg: twice as many buffers, well under the kernel's limit of 1024."""


def _keep_memory() -> None:
    """Have the C library keep the memory of buffers, which else goes back to the kernel and comes again for each body.

    glibc's bound for that is 128 KiB until a larger block has been given back; from then on it is twice that block's size.
    """
    bytes(_KEPT_SIZE)


_keep_memory()


class ClientGone(OSError):
    """The peer closed, aborted or fell silent: there is nobody left to answer."""


class Request:
    """The parameters of a request and the connection that it came on."""

    __slots__ = ("connection", "params", "request_id")

    def __init__(self, connection: "Connection", request_id: int, params: Dict[str, str]) -> None:
        self.connection = connection
        self.request_id = request_id
        self.params = params


class Connection:
    """Reads records, answers management records, and writes output. Never closes the socket."""

    __slots__ = (
        "_at",
        "_content_left",
        "_data",
        "_ended",
        "_padding_left",
        "_request_id",
        "_slot",
        "_socket",
        "keep",
    )

    def __init__(self, sock: socket.socket, slot: Slot, data: bytes = b"") -> None:
        self._socket = sock
        self._slot = slot
        self._data = data
        self._at = 0
        self._request_id = 0
        self._content_left = 0
        self._padding_left = 0
        self._ended = False
        self.keep = False
        """Whether the peer wants to use the connection again."""

    def resume_body(self, request_id: int) -> None:
        """Say that the parameters of the request have been read, so a body begins with the next record."""
        self._request_id = request_id

    # ---- the parameters

    def read_request(self) -> Optional[Request]:
        """Read until the parameters are complete; None when the peer went away or withdrew its request first.

        Raises ProtocolError, and ClientGone when the peer is silent for longer than `PARAMS_WAIT_SECONDS`.
        """
        params: List[bytes] = []
        size = 0
        while True:
            if not self._data_left() and not self._fill(PARAMS_WAIT_SECONDS):
                return None
            kind, request_id, length, padding = self._header(PARAMS_WAIT_SECONDS)
            size += length
            if size > fastcgi.MAX_PARAMS:
                raise ProtocolError("the parameters are longer than {} bytes".format(fastcgi.MAX_PARAMS))
            content = self._take(length, PARAMS_WAIT_SECONDS)
            self._take(padding, PARAMS_WAIT_SECONDS)
            if kind == fastcgi.BEGIN_REQUEST:
                self._begin(request_id, content)
            elif request_id == 0 or kind > fastcgi.UNKNOWN_TYPE:
                self._manage(kind, content)
            elif request_id != self._request_id:
                continue  # of a request that was refused or withdrawn
            elif kind == fastcgi.ABORT_REQUEST:
                self.send([fastcgi.end_request(request_id)])
                self._request_id = 0
                params, size = [], 0
            elif kind == fastcgi.PARAMS and length:
                params.append(content)
            elif kind == fastcgi.PARAMS:
                return Request(self, request_id, fastcgi.parse_pairs(b"".join(params)))
            elif kind == fastcgi.STDIN:
                raise ProtocolError("the body came before the end of the parameters")

    def _begin(self, request_id: int, content: bytes) -> None:
        if len(content) != fastcgi.BEGIN_BODY.size or not request_id:
            raise ProtocolError("a malformed BEGIN_REQUEST")
        role, flags = fastcgi.BEGIN_BODY.unpack(content)
        if self._request_id:
            if request_id == self._request_id:
                raise ProtocolError("request {} was begun twice".format(request_id))
            self.send([fastcgi.end_request(request_id, protocol_status=fastcgi.CANT_MPX_CONN)])
        elif role != fastcgi.RESPONDER:
            self.send([fastcgi.end_request(request_id, protocol_status=fastcgi.UNKNOWN_ROLE)])
        else:
            self._request_id = request_id
            self.keep = bool(flags & fastcgi.KEEP_CONN)

    def _manage(self, kind: int, content: bytes) -> None:
        if kind == fastcgi.GET_VALUES:
            self.send([fastcgi.values_result(content)])
        else:
            self.send([fastcgi.unknown_type(kind)])

    # ---- the body

    def read_body(self) -> List[memoryview]:
        """Return the next pieces of the body, all that one receive brought, as views on it; none at its end.

        Raises ProtocolError, and ClientGone when the peer is gone, withdraws the request, or is silent for longer than
        `BODY_WAIT_SECONDS`.
        """
        pieces = self._pieces_at_hand()
        while not pieces and not self._ended:
            if self._content_left:
                self._require(BODY_WAIT_SECONDS)
            elif self._padding_left:
                self._take(self._padding_left, BODY_WAIT_SECONDS)
                self._padding_left = 0
            else:
                self._next_body_record()
            pieces = self._pieces_at_hand()
        self._slot.touch()
        return pieces

    def _pieces_at_hand(self) -> List[memoryview]:
        """Take what is at hand of the body, up to a record that is not all there or no part of it.

        The way of every large body: 32 records for each megabyte.
        """
        data, at, size = self._data, self._at, len(self._data)
        left, padding = self._content_left, self._padding_left
        view = memoryview(data)
        pieces: List[memoryview] = []
        while True:
            if left and at < size:
                piece = view[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
            if left or self._ended or size - at < padding + fastcgi.HEADER_SIZE:
                break
            version, kind, request_id, length, next_padding = fastcgi.HEADER.unpack_from(data, at + padding)
            if kind != fastcgi.STDIN or request_id != self._request_id or version != fastcgi.VERSION:
                break
            at += padding + fastcgi.HEADER_SIZE
            left, padding = length, next_padding
            self._ended = not length
        self._at, self._content_left, self._padding_left = at, left, padding
        return pieces

    def _next_body_record(self) -> None:
        kind, request_id, length, padding = self._header(BODY_WAIT_SECONDS)
        if kind == fastcgi.STDIN and request_id == self._request_id:
            self._content_left, self._padding_left = length, padding
            self._ended = not length
            return
        content = self._take(length, BODY_WAIT_SECONDS)
        self._take(padding, BODY_WAIT_SECONDS)
        if kind == fastcgi.BEGIN_REQUEST:
            self._begin(request_id, content)
        elif request_id == 0 or kind > fastcgi.UNKNOWN_TYPE:
            self._manage(kind, content)
        elif kind == fastcgi.ABORT_REQUEST and request_id == self._request_id:
            self._ended = True
            self.send([fastcgi.end_request(request_id)])
            raise ClientGone("the web server withdrew the request")

    def finish(self) -> bool:
        """Read what an application has left of the body; tell whether the connection can take another request.

        nginx uses a connection again once it has sent the whole body and has seen END_REQUEST: to close it then, with
        nothing wrong, could cost the next request. It closes by itself when it has more of the body to send. The next
        request may already have come behind the body, so not a byte more is read than belongs to this one.
        """
        try:
            self._throw_away_body()
        except (OSError, ProtocolError):
            return False
        return self._ended and not self._data_left()

    def drain(self) -> None:
        """Read what is left of the body, within `DRAIN_BYTES` and `DRAIN_WAIT_SECONDS`, before the connection is closed.

        A Unix socket that is closed with bytes unread resets its peer, which then may not see the response. Our
        side is closed for writing first: nginx holds a short response back until its end, and sends no more of a body
        once it has been answered.
        """
        try:
            if not self._ended:
                self._socket.shutdown(socket.SHUT_WR)
            self._throw_away_body()
        except (OSError, ProtocolError):
            return

    def _throw_away_body(self) -> None:
        left = DRAIN_BYTES
        while left > 0 and not self._ended:
            missing = self._content_left + self._padding_left or fastcgi.HEADER_SIZE
            if self._data_left() < min(missing, fastcgi.HEADER_SIZE):
                size = min(missing - self._data_left(), RECEIVE_SIZE)
                if not self._fill(DRAIN_WAIT_SECONDS, size):
                    return
                continue
            left -= len(self._take_body())

    def _take_body(self) -> bytes:
        """Take a piece of the body, of its padding, or the header of its next record, from the bytes that are there."""
        if self._content_left:
            return self._take_some()
        if self._padding_left:
            taken = min(self._padding_left, self._data_left())
            self._at += taken
            self._padding_left -= taken
        else:
            self._next_body_record()
        return b""

    # ---- bytes

    def _data_left(self) -> int:
        return len(self._data) - self._at

    def _fill(self, seconds: float, size: int = RECEIVE_SIZE) -> bool:
        """Receive once, `size` bytes at most; False at the end of the stream. Bytes already taken are dropped."""
        data = receive(self._socket, size, seconds)
        self._data = self._data[self._at :] + data
        self._at = 0
        return bool(data)

    def _require(self, seconds: float) -> None:
        if not self._fill(seconds):
            raise ClientGone("the connection ended inside a request")

    def _header(self, seconds: float) -> "tuple[int, int, int, int]":
        version, kind, request_id, length, padding = fastcgi.HEADER.unpack(
            self._take(fastcgi.HEADER_SIZE, seconds)
        )
        if version != fastcgi.VERSION:
            raise ProtocolError("record version {} is not FastCGI's".format(version))
        return kind, request_id, length, padding

    def _take(self, size: int, seconds: float) -> bytes:
        while self._data_left() < size:
            self._require(seconds)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def _take_some(self) -> bytes:
        end = min(self._at + self._content_left, len(self._data))
        taken = self._data[self._at : end]
        self._content_left -= len(taken)
        self._at = end
        return taken

    def send(self, buffers: List[bytes]) -> None:
        """Write all the buffers. Raises ClientGone when the peer is gone."""
        send(self._socket, buffers)


def receive(sock: socket.socket, size: int, seconds: float) -> bytes:
    """Receive once; empty at the end of the stream. Raises ClientGone after so many seconds of silence, or a reset."""
    try:
        return sock.recv(size, socket.MSG_DONTWAIT)
    except BlockingIOError:
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        if not poll.poll(int(seconds * 1000)):
            raise ClientGone("the peer was silent for {} seconds".format(seconds)) from None
    except ConnectionError as error:
        raise ClientGone(str(error)) from None
    try:
        return sock.recv(size)
    except ConnectionError as error:
        raise ClientGone(str(error)) from None


def send(sock: socket.socket, buffers: List[bytes]) -> None:
    """Write all the buffers, with as few calls as partial writes allow. Raises ClientGone when the peer is gone."""
    try:
        sent = sock.sendmsg(buffers, (), socket.MSG_NOSIGNAL)
        for position, buffer in enumerate(buffers):
            if sent < len(buffer):
                _send_rest(
                    sock, [memoryview(buffer)[sent:]] + [memoryview(rest) for rest in buffers[position + 1 :]]
                )
                return
            sent -= len(buffer)
    except ConnectionError as error:
        raise ClientGone(str(error)) from None


def _send_rest(sock: socket.socket, views: "list[memoryview]") -> None:
    for view in views:
        sock.sendall(view, socket.MSG_NOSIGNAL)


def output_buffers(request_id: int, head: bytes, data: bytes) -> "list[list[bytes]]":
    """Return STDOUT records with the data, in portions for one sendmsg each; a head shares the first record."""
    if len(head) + len(data) <= fastcgi.MAX_CONTENT:
        header = fastcgi.HEADER.pack(fastcgi.VERSION, fastcgi.STDOUT, request_id, len(head) + len(data), 0)
        return [[b"".join((header, head, data))]]
    portions: list[list[bytes]] = []
    buffers: list[bytes] = []
    if head:
        buffers.extend(
            fastcgi.record(fastcgi.STDOUT, request_id, head[start : start + fastcgi.MAX_CONTENT])
            for start in range(0, len(head), fastcgi.MAX_CONTENT)
        )
    full = fastcgi.HEADER.pack(fastcgi.VERSION, fastcgi.STDOUT, request_id, fastcgi.MAX_CONTENT, 0)
    view = memoryview(data)
    for start in range(0, len(data), fastcgi.MAX_CONTENT):
        piece = view[start : start + fastcgi.MAX_CONTENT]
        whole = len(piece) == fastcgi.MAX_CONTENT
        buffers.append(
            full if whole else fastcgi.HEADER.pack(fastcgi.VERSION, fastcgi.STDOUT, request_id, len(piece), 0)
        )
        buffers.append(piece)  # type: ignore[arg-type]  # a buffer like any other
        if len(buffers) >= 2 * IOV_RECORDS:
            portions.append(buffers)
            buffers = []
    if buffers:
        portions.append(buffers)
    return portions
