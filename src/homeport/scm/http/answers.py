"""Bodies of answers in Kudu's shapes (Kudu reference §0.3)."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from homeport.model.errors import (
    Conflict,
    Forbidden,
    HomeportError,
    Invalid,
    NotFound,
    Unavailable,
    Unsupported,
)

_STATUS: Mapping[type[HomeportError], int] = {
    Invalid: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Unsupported: 501,
    Unavailable: 503,
}
ERRORS: Mapping[int, type[HomeportError]] = {status: kind for kind, status in _STATUS.items()}
"""The table read the other way, for what the agent refuses."""
_JSON = "application/json; charset=utf-8"


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with `value` as JSON; names that are not UTF-8 stay readable, as `\\udc…` escapes."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    return Response(body, status_code=status, headers=_with_type(headers, _JSON))


def message(status: int, text: str, *, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with `{"Message": text}`, the shape of most errors."""
    return json_answer({"Message": text}, status=status, headers=headers)


def plain(status: int, text: str) -> Response:
    """Answer with plain text: lock conflicts and a few deployment errors."""
    return Response(text.encode(), status_code=status, headers={"content-type": "text/plain; charset=utf-8"})


def nothing(status: int, *, headers: Mapping[str, str] | None = None) -> Response:
    """Answer without a body."""
    return Response(status_code=status, headers=headers)


def exception_detail(status: int, error: BaseException) -> Response:
    """Answer with the error in full, as Kudu does for whoever may use the SCM site at all."""
    detail = {
        "Message": "An error has occurred.",
        "ExceptionMessage": str(error),
        "ExceptionType": f"{type(error).__module__}.{type(error).__qualname__}",
        "StackTrace": "".join(traceback.format_tb(error.__traceback__)),
    }
    return json_answer(detail, status=status)


def homeport_error(error: HomeportError) -> Response:
    """Answer a refusal by its kind; the message was written for the caller."""
    status = next((_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS), 500)
    return message(status, error.message)


def _with_type(headers: Mapping[str, str] | None, content_type: str) -> dict[str, str]:
    return {**(headers or {}), "content-type": content_type}
