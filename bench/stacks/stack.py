"""What every stack offers."""

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol

from bench.samples import Load, StackName
from bench.wrk import HEADERS, Target

PROCESSES = 2
"""Processes of the application, in every stack."""

UPLOAD_BYTES = 1_048_576

EXPECTED = {
    Load.HELLO: b"Hello, World!",
    Load.FLASK: b"Hello, World!",
    Load.DJANGO: b"Hello, World!",
    Load.BODY: b"x" * 102_400,
    Load.UPLOAD: str(UPLOAD_BYTES).encode(),
    Load.MARK: b"Hello, World!",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """The processes of a stack: nginx, the site's own (everything that serves it), and what serves all sites."""

    front: tuple[int, ...] = ()
    site: tuple[int, ...] = ()
    platform: tuple[int, ...] = ()


class Stack(Protocol):
    """A way to serve an application. Not started twice at once."""

    @property
    def name(self) -> StackName:
        """The stack's name in tables."""

    def start(self, load: Load) -> Target:
        """Start serving the application and return when it answers rightly with all its processes."""

    def members(self) -> Members:
        """Tell the processes that now belong to it."""

    def stop(self) -> None:
        """End every process; also after a start that failed, or none."""


def target(load: Load, *, port: int, host: str) -> Target:
    """Name the address of an application's one page."""
    body = UPLOAD_BYTES if load is Load.UPLOAD else 0
    return Target(url=f"http://127.0.0.1:{port}/", host=host, body_bytes=body)


def answers(where: Target, *, load: Load) -> bool:
    """Say whether one request is answered with exactly what the application says."""
    status, body = fetch(where)
    return status == 200 and body == EXPECTED[load]


def fetch(
    where: Target,
    *,
    timeout: float = 30.0,
    path: str = "/",
    headers: Mapping[str, str] = MappingProxyType({}),
) -> tuple[int, bytes]:
    """Make one request on a connection of its own; the status is 0 when there is no answer."""
    address = where.url.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        connection.request(
            "POST" if where.body_bytes else "GET",
            path,
            body=b"x" * where.body_bytes if where.body_bytes else None,
            headers={"Host": where.host, **HEADERS, **headers},
        )
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()
