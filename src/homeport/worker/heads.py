"""From `start_response`'s arguments to the header lines of a CGI response (PEP 3333, RFC 9110)."""

import re
from typing import Any, Dict, Iterable, Optional, Tuple

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_DIGITS = re.compile(r" *[0-9]{1,18} *\Z")
_STATUS = re.compile(r"[1-9][0-9][0-9](?: [^\0\r\n]*)?\Z")
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)
_REMEMBERED = 1024

PLAIN = 0
CONTENT_LENGTH = 1


class Heads:
    """Renders heads and remembers which statuses and header names have been found good.

    Both come from the application, in few spellings; what is beyond `_REMEMBERED` is checked each time.
    """

    __slots__ = ("kinds", "statuses")

    def __init__(self) -> None:
        self.kinds: Dict[Any, int] = {}
        self.statuses: Dict[Any, bool] = {}
        """Status line to whether its responses have no body."""

    def render(self, status: Any, headers: Iterable[Tuple[Any, Any]]) -> Tuple[bytes, Optional[int], bool]:
        """Return the lines without the empty one that ends a head, the length of the body if they tell it, and
        whether a response of this status has no body.

        Raises TypeError for what is no text (bytes are taken as wfastcgi takes them), ValueError for text that may not
        be in a header, AssertionError for headers that belong to the connection and not to the application.
        """
        length = None
        bodiless = self.statuses.get(status)
        if bodiless is None:
            bodiless = self._classify_status(status)
        parts = ["Status: ", status, "\r\n"]
        kinds = self.kinds
        for name, value in headers:
            kind = kinds.get(name)
            if kind is None:
                kind = self._classify(name)
            if kind:
                length = _length(value)
            parts += (name, ": ", value, "\r\n")
        try:
            text = "".join(parts)
        except TypeError:
            parts = [_native(part) for part in parts]
            text = "".join(parts)
        lines = len(parts) // 4 + 1
        if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
            raise ValueError("a header holds a line break or a NUL: {!r}".format(text))
        return text.encode("latin-1"), length, bodiless

    def _classify_status(self, status: Any) -> bool:
        text = _native(status)
        if not _STATUS.match(text):
            raise ValueError("the status must be three digits and a reason: {!r}".format(status))
        bodiless = text[:3] in ("204", "304")
        if len(self.statuses) < _REMEMBERED:
            self.statuses[status] = bodiless
        return bodiless

    def _classify(self, name: Any) -> int:
        text = _native(name)
        if not _TOKEN.match(text):
            raise ValueError("not the name of a header: {!r}".format(name))
        lowered = text.lower()
        if lowered in _HOP_BY_HOP or lowered == "status":
            raise AssertionError("the header {} is not the application's to send (PEP 3333)".format(text))
        kind = CONTENT_LENGTH if lowered == "content-length" else PLAIN
        if len(self.kinds) < _REMEMBERED:
            self.kinds[name] = kind
        return kind


def _native(text: Any) -> str:
    if isinstance(text, bytes):
        return text.decode("latin-1")
    if not isinstance(text, str):
        raise TypeError(
            "status, names and values of headers must be text, not {!r}".format(type(text).__name__)
        )
    return text


def _length(value: Any) -> int:
    text = _native(value)
    if not _DIGITS.match(text):
        raise ValueError("Content-Length is not a number: {!r}".format(value))
    return int(text)
