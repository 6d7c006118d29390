"""The one table between our errors and HTTP status codes, for the local APIs and their clients."""

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
