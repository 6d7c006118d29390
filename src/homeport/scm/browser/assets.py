"""Scripts, styles and images of the pages, from our own package."""

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from homeport.scm.http.answers import message

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_DAY = 86_400


def asset_address(name: str) -> str:
    """Return the address of an asset; it changes with the content, so that browsers may keep it."""
    return f"/assets/{_fingerprint(name)}/{name}"


async def serve_asset(request: Request) -> Response:
    """GET `/assets/<fingerprint>/<name>`: the fingerprint is for caches, the name decides."""
    name = request.path_params["path"].lstrip("/").partition("/")[2]
    known = _names()
    if name not in known:
        return message(404, "There is no such asset.")
    headers = {
        "content-type": _TYPES[Path(name).suffix],
        "cache-control": f"private, max-age={_DAY}",
        "x-content-type-options": "nosniff",
        "cross-origin-resource-policy": "same-origin",
    }
    return Response((_FOLDER / name).read_bytes(), headers=headers)


@cache
def _names() -> frozenset[str]:
    files = (path for path in _FOLDER.rglob("*") if path.suffix in _TYPES)
    return frozenset(path.relative_to(_FOLDER).as_posix() for path in files)


@cache
def _fingerprint(name: str) -> str:
    # Modules import each other relatively, below the fingerprint of whoever names them: one for all.
    digest = hashlib.sha256(b"".join((_FOLDER / each).read_bytes() for each in sorted(_names())))
    assert name in _names(), name
    return digest.hexdigest()[:12]
