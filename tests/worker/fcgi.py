"""A small FastCGI client, written from the specification and not from the worker."""

import socket
import struct
from dataclasses import dataclass, field

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN = range(1, 12)
DEADLINE_SECONDS = 20


def record(kind: int, content: bytes = b"", *, request: int = 1, padding: int = 0, version: int = 1) -> bytes:
    return struct.pack(">BBHHBx", version, kind, request, len(content), padding) + content + b"\0" * padding


def begin(*, request: int = 1, role: int = 1, flags: int = 0) -> bytes:
    return record(BEGIN, struct.pack(">HB5x", role, flags), request=request)


def pairs(values: dict[str, str]) -> bytes:
    def length(size: int) -> bytes:
        return bytes([size]) if size < 128 else struct.pack(">I", size | 1 << 31)

    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in values.items()]
    return b"".join(length(len(name)) + length(len(value)) + name + value for name, value in raw)


def stream(kind: int, data: bytes, *, request: int = 1, size: int = 32768, padding: int = 0) -> bytes:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return b"".join(record(kind, piece, request=request, padding=padding) for piece in (*pieces, b""))


def nginx_params(method: str = "GET", uri: str = "/", **more: str) -> dict[str, str]:
    """What our nginx sends, in its order."""
    path, _, query = uri.partition("?")
    return {
        "REQUEST_METHOD": method,
        "REQUEST_URI": uri,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_PORT": "4711",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "80",
        "HTTPS": "",
        "HTTP_HOST": "shop.example",
        **more,
    }


def request_bytes(params: dict[str, str], body: bytes = b"", *, request: int = 1, flags: int = 0) -> bytes:
    return b"".join(
        (
            begin(request=request, flags=flags),
            stream(PARAMS, pairs(params), request=request, size=65535),
            stream(STDIN, body, request=request),
        )
    )


@dataclass
class Answer:
    """Everything that came back on one connection."""

    records: list[tuple[int, int, bytes]] = field(default_factory=list)
    trailing: bytes = b""
    reset: bool = False

    @property
    def stdout(self) -> bytes:
        return b"".join(content for kind, _, content in self.records if kind == STDOUT)

    @property
    def stderr(self) -> bytes:
        return b"".join(content for kind, _, content in self.records if kind == STDERR)

    @property
    def ends(self) -> list[tuple[int, int]]:
        """(request id, protocol status) of each END_REQUEST."""
        return [(request, content[4]) for kind, request, content in self.records if kind == END]

    @property
    def head(self) -> list[str]:
        return self.stdout.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")

    @property
    def status(self) -> str:
        assert self.head[0].startswith("Status: "), self
        return self.head[0][8:]

    @property
    def headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in self.head[1:])}

    @property
    def body(self) -> bytes:
        return self.stdout.partition(b"\r\n\r\n")[2]


def connect(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(DEADLINE_SECONDS)
    client.connect(path)
    return client


def receive(client: socket.socket) -> Answer:
    """Read to the end of the connection."""
    pieces = []
    answer = Answer()
    try:
        while piece := client.recv(1 << 20):
            pieces.append(piece)
    except ConnectionResetError:
        answer.reset = True
    return parse(b"".join(pieces), answer)


def parse(data: bytes, answer: Answer) -> Answer:
    at = 0
    while at + 8 <= len(data):
        version, kind, request, length, padding = struct.unpack_from(">BBHHBx", data, at)
        end = at + 8 + length + padding
        if version != 1 or end > len(data):
            break
        answer.records.append((kind, request, data[at + 8 : at + 8 + length]))
        at = end
    answer.trailing = data[at:]
    return answer


def exchange(path: str, data: bytes) -> Answer:
    """Send bytes on a connection of their own and return all that comes back."""
    with connect(path) as client:
        client.sendall(data)
        return receive(client)


def ask(path: str, uri: str = "/", *, method: str = "GET", body: bytes = b"", **params: str) -> Answer:
    """Make one request as nginx does."""
    if body:
        params.setdefault("CONTENT_LENGTH", str(len(body)))
    return exchange(path, request_bytes(nginx_params(method, uri, **params), body))
