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
_REMEMBERED_NAMES = 1024

PLAIN = 0
CONTENT_LENGTH = 1


class Heads:
    """Renders heads and remembers which header names have been found good.

    The names come from the application, in few spellings; what is beyond `_REMEMBERED_NAMES` is checked each time.
    """

    __slots__ = ("kinds",)

    def __init__(self) -> None:
        self.kinds: Dict[Any, int] = {}

    def render(self, status: Any, headers: Iterable[Tuple[Any, Any]]) -> Tuple[bytes, Optional[int]]:
        """Return the lines without the empty one that ends a head, and the length of the body if they tell it.

        Raises TypeError for what is no text (bytes are taken as wfastcgi takes them), ValueError for text that may not
        be in a header, AssertionError for headers that belong to the connection and not to the application.
        """
        length: Optional[str] = None
        parts = ["Status: ", status, "\r\n"]
        kinds = self.kinds
        for name, value in headers:
            kind = kinds.get(name)
            if kind is None:
                kind = self._classify(name)
            if kind:
                length = value
            parts += (name, ": ", value, "\r\n")
        try:
            text = "".join(parts)
        except TypeError:
            parts = [_native(part) for part in parts]
            text = "".join(parts)
        lines = len(parts) // 4 + 1
        if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
            raise ValueError("a status or header holds a line break or a NUL: {!r}".format(text))
        if not _STATUS.match(parts[1]):
            raise ValueError("the status must be three digits and a reason: {!r}".format(status))
        return text.encode("latin-1"), None if length is None else _length(length)

    def _classify(self, name: Any) -> int:
        text = _native(name)
        if not _TOKEN.match(text):
            raise ValueError("not the name of a header: {!r}".format(name))
        lowered = text.lower()
        if lowered in _HOP_BY_HOP or lowered == "status":
            raise AssertionError("the header {} is not the application's to send (PEP 3333)".format(text))
        kind = CONTENT_LENGTH if lowered == "content-length" else PLAIN
        if len(self.kinds) < _REMEMBERED_NAMES:
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
