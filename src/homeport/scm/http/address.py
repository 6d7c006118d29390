"""The address that the caller used, as the front end tells it."""

from starlette.requests import HTTPConnection, Request


def origin(request: HTTPConnection) -> str:
    """Return `scheme://host` as the caller wrote it; the front end drops what clients forge."""
    scheme = request.headers.get("x-forwarded-proto", "http").split(",")[0].strip()
    host = request.headers.get("x-forwarded-host") or request.headers.get("host", "localhost")
    return f"{'https' if scheme == 'https' else 'http'}://{host}"


def raw_path(request: Request) -> str:
    """Return the path as it was sent, still percent-encoded."""
    path: bytes = request.scope.get("raw_path") or b"/"
    return path.decode("ascii", "replace")


def page_address(request: Request) -> str:
    """Return the whole address without the query."""
    return origin(request) + raw_path(request)


def query_suffix(request: Request) -> str:
    """Return `?query` as it was sent, or nothing."""
    query: bytes = request.scope.get("query_string", b"")
    return f"?{query.decode('ascii', 'replace')}" if query else ""
