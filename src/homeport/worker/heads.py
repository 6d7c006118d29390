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
        self.kinds: Dict[str, int] = {}
        self.statuses: Dict[str, bool] = {}
        """Status line to whether its responses have no body."""

    def render(self, status: Any, headers: Iterable[Tuple[Any, Any]]) -> Tuple[bytes, Optional[int], bool]:
        """Return the lines without the empty one that ends a head, the length of the body if they tell it, and
        whether a response of this status has no body.

        Raises TypeError for what is no text (bytes are taken as wfastcgi takes them), ValueError for text that may not
        be in a header, AssertionError for headers that belong to the connection and not to the application.
        """
        bodiless = self.statuses.get(status)
        if bodiless is None or type(headers) is not list:
            return self._render_carefully(status, headers)
        length = None
        # Growing one text is half the price of joining its pieces.
        text = f"Status: {status}\r\n"
        for name, value in headers:
            kind = self.kinds.get(name)
            if kind is None or type(value) is not str:
                return self._render_carefully(status, headers)
            if kind:
                length = _length(value)
            text = f"{text}{name}: {value}\r\n"
        return _encoded(text, len(headers) + 1), length, bodiless

    def _render_carefully(
        self, status: Any, headers: Iterable[Tuple[Any, Any]]
    ) -> Tuple[bytes, Optional[int], bool]:
        """Render what holds something that has not been met before, or is not exactly text."""
        bodiless = self._classify_status(_native(status))
        length = None
        lines = ["Status: " + _native(status)]
        for name, value in headers:
            lines.append("{}: {}".format(_native(name), _native(value)))
            if self._classify(_native(name)):
                length = _length(_native(value))
        return _encoded("\r\n".join([*lines, ""]), len(lines)), length, bodiless

    def _classify_status(self, text: str) -> bool:
        if not _STATUS.match(text):
            raise ValueError("the status must be three digits and a reason: {!r}".format(text))
        bodiless = text[:3] in ("204", "304")
        if len(self.statuses) < _REMEMBERED:
            self.statuses[text] = bodiless
        return bodiless

    def _classify(self, text: str) -> int:
        if not _TOKEN.match(text):
            raise ValueError("not the name of a header: {!r}".format(text))
        lowered = text.lower()
        if lowered in _HOP_BY_HOP or lowered == "status":
            raise AssertionError("the header {} is not the application's to send (PEP 3333)".format(text))
        kind = CONTENT_LENGTH if lowered == "content-length" else PLAIN
        if len(self.kinds) < _REMEMBERED:
            self.kinds[text] = kind
        return kind


def _encoded(text: str, lines: int) -> bytes:
    """Return the lines as bytes, having seen that there are no more of them than were meant."""
    if text.count("\n") != lines or text.count("\r") != lines or "\0" in text:
        raise ValueError("a header holds a line break or a NUL: {!r}".format(text))
    return text.encode("latin-1")


def _native(text: Any) -> str:
    if isinstance(text, bytes):
        return text.decode("latin-1")
    if not isinstance(text, str):
        raise TypeError(
            "status, names and values of headers must be text, not {!r}".format(type(text).__name__)
        )
    return text


def _length(text: str) -> int:
    if not _DIGITS.match(text):
        raise ValueError("Content-Length is not a number: {!r}".format(text))
    return int(text)
