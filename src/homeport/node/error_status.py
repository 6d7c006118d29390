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


def status_of(error: HomeportError) -> int:
    """Give the HTTP status code of an error."""
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)


def error_to_json(error: HomeportError) -> dict[str, object]:
    """Return the one shape of every error; an answer that is a stream has no other place for the status."""
    return {"error": {"code": error.code, "message": error.message, "status": status_of(error)}}


def error_from_json(
    value: object, *, otherwise: str, code: str | None = None, status: int = 0
) -> HomeportError:
    """Turn that shape into the error; `otherwise` is the message, with `code`, where it is another shape.

    `status` is the answer's, for an error that names none; one that stands for no kind is `Unavailable`.
    """
    error = value.get("error") if isinstance(value, Mapping) else None
    if not isinstance(error, Mapping) or not {"code", "message"} <= error.keys():
        return ERRORS.get(status, Unavailable)(otherwise, code=code)
    return ERRORS.get(error.get("status", status), Unavailable)(
        str(error["message"]), code=str(error["code"])
    )


def read_error(status: int, content: bytes, *, otherwise: str, code: str | None = None) -> HomeportError:
    """Turn an answer that is an error into ours, as `error_from_json`."""
    try:
        value = json.loads(content)
    except ValueError:
        value = None
    return error_from_json(value, otherwise=otherwise, code=code, status=status)
