"""The one table between our errors and HTTP status codes, for the local APIs and their clients."""

import json
from collections.abc import Mapping

from homeport.model.errors import (
    Conflict,
    Forbidden,
    HomeportError,
    Invalid,
    NotFound,
    Unavailable,
    Unsupported,
)

STATUS: Mapping[type[HomeportError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unsupported: 501,
    Unavailable: 503,
}
ERRORS: Mapping[int, type[HomeportError]] = {status: kind for kind, status in STATUS.items()}
"""The table read the other way, for clients."""


def read_error(status: int, content: bytes, *, otherwise: str, code: str | None = None) -> HomeportError:
    """Turn an answer that is an error into ours; `otherwise` is the message, with `code`, where it gives none."""
    kind = ERRORS.get(status, Unavailable)
    try:
        error = json.loads(content)["error"]
        return kind(str(error["message"]), code=str(error["code"]))
    except (ValueError, KeyError, TypeError):
        return kind(otherwise, code=code)
