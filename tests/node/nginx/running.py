"""A real nginx on free ports, and small FastCGI and HTTP applications behind it."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from homeport.node.nginx.main import Certificates, MainConfig, render_main
from homeport.node.nginx.scm_server import ScmSites
from homeport.node.nginx.server import SiteServer, render_site
from homeport.webconfig.plan import (
    FastCgi,
    FastCgiPool,
    HostingPlan,
    PoolKind,
    ResourceType,
    Rule,
    StaticFiles,
)

DEADLINE_SECONDS = 20.0
HOST = "hello.localhost"
SCM_HOST = "hello.scm.localhost"
POOL = "wsgi-1"


@dataclass
class FcgiRequest:
    params: dict[str, str]
    body: bytes


Answer = Callable[[FcgiRequest, Callable[[bytes], None]], None]


@dataclass
class FcgiApp:
    """Takes a connection once the first request of the one before is answered, and keeps them, as nginx does.

    `answer` writes the CGI response piece by piece.
    """

    path: Path
    answer: Answer
    requests: list[FcgiRequest] = field(default_factory=list)
    finished: threading.Event = field(default_factory=threading.Event)

    def serve(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            answered = threading.Event()
            threading.Thread(target=self._keep, args=(connection, answered), daemon=True).start()
            answered.wait()

    def _keep(self, connection: socket.socket, answered: threading.Event) -> None:
        with connection, contextlib.suppress(OSError), connection.makefile("rb") as stream:
            try:
                while self._one(connection, stream):
                    answered.set()
            finally:
                answered.set()

    def _one(self, connection: socket.socket, stream: BinaryIO) -> bool:
        """Answer one request; False when there is none."""
        params, body = b"", b""
        while True:
            header = stream.read(8)
            if len(header) < 8:
                return False
            _, kind, _, length, padding, _ = struct.unpack("!BBHHBB", header)
            content = stream.read(length + padding)[:length]
            if kind == 4:
                params += content
            elif kind == 5:
                body += content
                if not content:
                    break
        request = FcgiRequest(_pairs(params), body)
        self.requests.append(request)

        def write(data: bytes) -> None:
            for start in range(0, len(data), 65528):
                piece = data[start : start + 65528]
                connection.sendall(struct.pack("!BBHHBB", 1, 6, 1, len(piece), 0, 0) + piece)

        self.answer(request, write)
        connection.sendall(struct.pack("!BBHHBB", 1, 3, 1, 8, 0, 0) + bytes(8))
        self.finished.set()
        return True


def _pairs(data: bytes) -> dict[str, str]:
    found, at = {}, 0

    def length() -> int:
        nonlocal at
        first = data[at]
        if first < 128:
            at += 1
            return first
        at += 4
        return int(struct.unpack("!I", data[at - 4 : at])[0]) & 0x7FFFFFFF

    while at < len(data):
        name_length, value_length = length(), length()
        name = data[at : at + name_length].decode()
        found[name] = data[at + name_length : at + name_length + value_length].decode(
            "utf-8", "surrogateescape"
        )
        at += name_length + value_length
    return found


def hello(_request: FcgiRequest, write: Callable[[bytes], None]) -> None:
    write(b"Status: 200 OK\r\nContent-Type: text/plain\r\n\r\nhello")


@contextlib.contextmanager
def fcgi_app(path: Path, answer: Answer = hello, *, backlog: int = 64) -> Iterator[FcgiApp]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(backlog)
        app = FcgiApp(path, answer)
        thread = threading.Thread(target=app.serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield app
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_SECONDS)


@contextlib.contextmanager
def http_app(path: Path, answer: Callable[[bytes], bytes]) -> Iterator[list[bytes]]:
    """Read a request, answer with raw bytes, close; gives the heads that came."""
    heads: list[bytes] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                data = b""
                while b"\r\n\r\n" not in data:
                    piece = connection.recv(65536)
                    if not piece:
                        break
                    data += piece
                _read_body(connection, data)
                heads.append(data)
                connection.sendall(answer(data))

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(16)
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield heads
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_SECONDS)


def _read_body(connection: socket.socket, data: bytes) -> None:
    """Read the rest of a body: closing with unread data would reset the connection."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = next(
        (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
    )
    left = int(length.partition(b":")[2]) - len(body)
    while left > 0:
        left -= len(connection.recv(65536)) or left


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Folders:
    """Where one test's nginx lives; sockets need a short path that nginx's user can pass through."""

    root: Path
    port: int = 0
    tls_port: int | None = None
    certificate: Path | None = None
    user: str | None = "root" if os.geteuid() == 0 else None
    run_as: int | None = None

    def open_up(self) -> None:
        """Let nginx's user pass through, and own everything where it is not started as root."""
        for path in (self.root, *self.root.rglob("*")):
            if path.is_dir() and path != self.log.parent:
                path.chmod(0o755)
            if self.run_as is not None:
                os.chown(path, self.run_as, self.run_as)

    def __post_init__(self) -> None:
        self.port = self.port or free_port()
        for name in ("sites", "run", "content", "s", "known/hello"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.log.parent.mkdir(mode=0o700, exist_ok=True)

    @property
    def content(self) -> Path:
        return self.root / "content"

    @property
    def log(self) -> Path:
        return self.root / "closed/nginx.log"

    @property
    def request_log(self) -> Path:
        return self.root / "run/requests.log"

    def socket(self, name: str) -> Path:
        return self.root / "s" / f"{name}.sock"

    def main(self) -> str:
        return render_main(
            MainConfig(
                sites_folder=str(self.root / "sites"),
                run_folder=str(self.root / "run"),
                user=self.user,
                http_port=self.port,
                certificates=self._certificates(),
                request_log=str(self.request_log),
                scm=ScmSites(
                    sites_folder=str(self.root / "known"),
                    sockets_folder=str(self.root / "s"),
                    auth_socket=str(self.socket("auth")),
                ),
            )
        )

    def _certificates(self) -> Certificates | None:
        if self.tls_port is None:
            return None
        names = self.root / "certificates.conf"
        names.touch()
        return Certificates(port=self.tls_port, default=str(self.certificate), names_file=str(names))

    def site(self, plan: HostingPlan, **fields: object) -> SiteServer:
        values: dict[str, object] = {
            "name": "hello",
            "hostnames": (HOST,),
            "running": True,
            "plan": plan,
            "sockets": {pool.id: str(self.socket(pool.id)) for pool in plan.pools},
            "content_root": str(self.content),
            "http_port": self.port,
            "https_port": self.tls_port,
        }
        return SiteServer(**{**values, **fields})  # type: ignore[arg-type]


def python_plan(*rules: Rule, **fields: object) -> HostingPlan:
    """A pool and, unless rules are given, everything to it."""
    pool = FastCgiPool(id=POOL, kind=PoolKind.WSGI, requested=r"D:\home\python311x64\python.exe", program=())
    values: dict[str, object] = {
        "rules": rules or (Rule(folder="/", action=FastCgi(pool=POOL)),),
        "pools": (pool,),
        "findings": (),
    }
    return HostingPlan(**{**values, **fields})  # type: ignore[arg-type]


def static_rule(folder: str = "/") -> Rule:
    return Rule(
        folder=folder,
        resource_type=ResourceType.EITHER,
        action=StaticFiles(default_documents=("Default.htm", "index.html")),
    )


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Nginx:
    folders: Folders

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.folders.port, timeout=DEADLINE_SECONDS)

    def request(
        self,
        path: str,
        *,
        method: str = "GET",
        host: str = HOST,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Response:
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body=body, headers={"Host": host, **(headers or {})})
            return _read(connection.getresponse())

    def raw(self, data: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.folders.port), timeout=DEADLINE_SECONDS) as client:
            client.sendall(data)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
            return answer


def _read(response: HTTPResponse) -> Response:
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Response(response.status, headers, response.read())


@contextlib.contextmanager
def running_nginx(folders: Folders, *sites: SiteServer) -> Iterator[Nginx]:
    for site in sites:
        (folders.root / "sites" / f"{site.name}.conf").write_text(render_site(site))
    main = folders.root / "nginx.conf"
    main.write_text(folders.main())
    with folders.log.open("ab") as log:
        process = subprocess.Popen(
            ["nginx", "-p", str(folders.root), "-c", str(main)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env={**os.environ, "LANG": "C"},
            user=folders.run_as,
        )
    try:
        _wait_listening(folders, process)
        yield Nginx(folders)
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def _wait_listening(folders: Folders, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        if process.poll() is not None:
            raise AssertionError(f"nginx did not start: {folders.log.read_text()}")
        try:
            socket.create_connection(("127.0.0.1", folders.port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline, "nginx does not listen"
            threading.Event().wait(0.01)
        else:
            return


def check(folders: Folders, text: str) -> subprocess.CompletedProcess[str]:
    """Let `nginx -t` judge a site's text."""
    (folders.root / "sites" / "checked.conf").write_text(text)
    main = folders.root / "nginx.conf"
    main.write_text(folders.main())
    return subprocess.run(
        ["nginx", "-t", "-q", "-p", str(folders.root), "-c", str(main)],
        capture_output=True,
        text=True,
        check=False,
    )
