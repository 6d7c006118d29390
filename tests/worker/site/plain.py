"""The well-behaved and the misbehaving in one application: the path chooses. Runs on CPython 3.6."""

# This file also runs on CPython 3.6.
# ruff: noqa: UP031, RUF005

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from wsgiref.validate import validator

CLOSED = []


class Pieces:
    """An iterable with a close(), which notes that it was called."""

    def __init__(self, pieces, name):
        self.pieces, self.name = iter(pieces), name

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.pieces)

    def close(self):
        CLOSED.append(self.name)


def hello(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


def unsized(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Hello, world!"]


def environ(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [
        json.dumps(
            {name: value for name, value in environ.items() if isinstance(value, (str, int, tuple))}
        ).encode()
    ]


def facts(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    facts = {
        "cwd": os.getcwd(),
        "path": sys.path,
        "environ": dict(os.environ),
        "stdin": sys.stdin.read(),
        "fd0": os.read(0, 10).decode(),
        "compiled": "homeport.worker._accelerator" in sys.modules,
        "closed": CLOSED,
        "pid": os.getpid(),
    }
    return [json.dumps(facts).encode()]


def parts(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Pieces([b"a", b"", b"b" * 100000, b"c"], "parts")


def sized_parts(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return Pieces([b"abc", b"def"], "sized_parts")


def surplus(environ, start_response):
    start_response("200 OK", [("Content-Length", "4")])
    return Pieces([b"abc", b"def", b"ghi"], "surplus")


def short(environ, start_response):
    start_response("200 OK", [("Content-Length", "40")])
    return [b"abc"]


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    for piece in ("one ", "two ", "three"):
        yield piece.encode()


def late(environ, start_response):
    """start_response is only called when the first piece is asked for."""

    def body():
        start_response("201 Created", [("X-Late", "yes")])
        yield b"late"

    return body()


def empty(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return []


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return [b"not for you"]


def not_modified(environ, start_response):
    start_response("304 Not Modified", [("ETag", '"x"')])
    return [b""]


def written(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"first ")
    write(b"")
    return [b"second"]


def big(environ, start_response):
    size = int(environ["QUERY_STRING"])
    start_response("200 OK", [("Content-Length", str(size))])
    return [bytes(bytearray(index % 251 for index in range(251))) * (size // 251) + b"x" * (size % 251)]


def many(environ, start_response):
    start_response("200 OK", [("X-Number-%d" % index, "value %d" % index) for index in range(2000)])
    return [b"many"]


def gate(environ, start_response):
    """Streams one piece, then waits for the file in the query to appear, then the other."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"before"
    while not os.path.exists(environ["QUERY_STRING"]):
        time.sleep(0.005)
    yield b"after"


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Pieces(iter(lambda: b"e" * 100000, None), "endless")


def file(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](io.BytesIO(b"f" * 700000), 4096)


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("X-Length", environ["CONTENT_LENGTH"])])
    return [body]


def size(environ, start_response):
    stream, total, step = environ["wsgi.input"], 0, int(environ["QUERY_STRING"] or 65536)
    while True:
        piece = stream.read(step)
        if not piece:
            break
        total += len(piece)
    start_response("200 OK", [])
    with open("/proc/self/status") as status:
        peak = next(line for line in status if line.startswith("VmHWM"))
    return [json.dumps([total, int(peak.split()[1])]).encode()]


def lines(environ, start_response):
    stream = environ["wsgi.input"]
    found = [stream.readline(), stream.readline(3), stream.read(2)] + stream.readlines(5) + list(stream)
    found.append(stream.read())
    start_response("200 OK", [])
    return [json.dumps([line.decode("latin-1") for line in found]).encode()]


def ignore(environ, start_response):
    start_response("413 Content Too Large", [("Content-Length", "4")])
    return [b"much"]


def raises(environ, start_response):
    raise RuntimeError("secret of the application")


def exits(environ, start_response):
    sys.exit("leaving")


def raises_late(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"half"
    raise RuntimeError("in the middle")


def raises_in_close(environ, start_response):
    class Bad(Pieces):
        def close(self):
            raise RuntimeError("on closing")

    start_response("200 OK", [("Content-Length", "2")])
    return Bad([b"ok"], "bad")


def replaces(environ, start_response):
    start_response("200 OK", [("X-First", "1")])
    try:
        raise ValueError("replaced")
    except ValueError:
        start_response("503 Service Unavailable", [("X-Second", "2")], sys.exc_info())
    return [b"replaced"]


def replaces_late(environ, start_response):
    start_response("200 OK", [("X-First", "1")])
    yield b"sent"
    try:
        raise ValueError("too late to replace")
    except ValueError:
        start_response("503 Service Unavailable", [], sys.exc_info())


def twice(environ, start_response):
    start_response("200 OK", [])
    start_response("200 OK", [])
    return []


def never(environ, start_response):
    return [b"body without a head"]


def never_empty(environ, start_response):
    return []


def text(environ, start_response):
    start_response("200 OK", [])
    return ["text"]


def header(environ, start_response):
    """Sends the headers that the body holds as JSON."""
    status, headers = json.loads(environ["wsgi.input"].read().decode())
    start_response(status, [tuple(pair) for pair in headers])
    return [b"sent"]


def byte_headers(environ, start_response):
    start_response("200 OK", [(b"X-Bytes", b"taken"), ("X-Caf\xe9"[:3] + "Latin", "caf\xe9")])
    return [b"sent"]


def prints(environ, start_response):
    print("printed to stdout")
    print("caf\xe9 \ud800 printed to stderr", file=sys.stderr)
    environ["wsgi.errors"].write("written to wsgi.errors\n")
    return hello(environ, start_response)


def child(environ, start_response):
    """What a child process finds at its standard input, and how it takes SIGTERM."""
    start_response("200 OK", [])
    said = subprocess.check_output([sys.executable, "-c", "import sys; print(repr(sys.stdin.read()))"])
    heard, say = os.pipe()
    forked = os.fork()
    if not forked:
        os.write(say, b"up")
        time.sleep(60)
        os._exit(3)
    os.read(heard, 2)
    os.kill(forked, signal.SIGTERM)
    return [said.strip() + b" %d" % os.waitpid(forked, 0)[1]]


def keeps(environ, start_response):
    CLOSED.append(start_response("200 OK", []))
    return [b"kept"]


def uses(environ, start_response):
    """Writes with what an earlier request was given."""
    CLOSED.pop()(b"stale")
    return hello(environ, start_response)


def thread(environ, start_response):
    """Starts a thread that a stack dump can show."""
    threading.Thread(target=time.sleep, args=(5,), name="waiting", daemon=True).start()
    return hello(environ, start_response)


def dies(environ, start_response):
    os._exit(7)


_VALIDATED = validator(unsized)


def validated(environ, start_response):
    return _VALIDATED(environ, start_response)


def validated_body(environ, start_response):
    def read(environ, start_response):
        stream = environ["wsgi.input"]
        body = (
            stream.read(3)
            + stream.readline()
            + b"".join(stream.readlines())
            + b"".join(stream)
            + stream.read(5)
        )
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    return validator(read)(environ, start_response)


def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/") or "hello"
    return globals()[name](environ, start_response)


def make():
    return app


class Holder:
    app = staticmethod(app)
    nothing = None


def holder():
    return Holder()


def nothing():
    return None
