"""The short way to read the parameters of a request that is laid out as nginx lays it out.

What follows the first few parameters (protocol, server, the client's headers) is the same again in most requests of a
client, byte for byte. So it is read once and remembered: taking it from memory costs a tenth of reading it.
"""

from typing import Any, Dict, Optional

from homeport.worker import fastcgi

# What nginx sends in front of the parameters: BEGIN_REQUEST of request 1 as responder, with FCGI_KEEP_CONN (as our
# configuration asks for, decision 5) or without, and the beginning of a PARAMS record.
_STARTS = tuple(
    fastcgi.record(fastcgi.BEGIN_REQUEST, 1, fastcgi.BEGIN_BODY.pack(fastcgi.RESPONDER, flags)) + b"\1\4\0\1"
    for flags in (fastcgi.KEEP_CONN, 0)
)
_PARAMS_AT = len(_STARTS[0]) + 4

NO_MORE_PARAMS = fastcgi.record(fastcgi.PARAMS, 1)
"""The record that ends the parameters of request 1."""
CHANGING = 7
"""How many parameters our nginx sends first that differ between a client's requests (method, address, length, port)."""
_REMEMBERED = 256
_LONGEST = 4096


class PlainParams:
    """Reads parameters, and remembers up to 256 endings of them, 4 KiB each at most."""

    __slots__ = ("_endings",)

    def __init__(self) -> None:
        self._endings: Dict[bytes, Dict[str, str]] = {}

    def read(self, data: bytes, env: Dict[str, Any]) -> int:
        """Add the parameters to `env`; return where they end, 0 when the request is laid out otherwise.

        The environ is of no use after a 0.
        """
        if data[: _PARAMS_AT - 4] not in _STARTS or len(data) < _PARAMS_AT:
            return 0
        end = _PARAMS_AT + (data[20] << 8) + data[21]
        after = end + data[22]
        if data[after : after + 8] != NO_MORE_PARAMS:
            return 0
        text = data.decode("latin-1")
        position = _PARAMS_AT
        left = CHANGING
        while position < end and left:
            left -= 1
            name_at = position + 2
            value_size = data[position + 1]
            if data[position] | value_size > 127:
                if data[position] > 127:
                    return 0
                value_size = int.from_bytes(data[position + 1 : position + 5], "big") & 0x7FFFFFFF
                name_at += 3
            value_at = name_at + data[position]
            position = value_at + value_size
            env[text[name_at:value_at]] = text[value_at:position]
        ending = data[position:end]
        known = self._endings.get(ending)
        if known is None:
            known = _read_ending(ending)
            if known is None or position > end:
                return 0
            if len(ending) <= _LONGEST:
                if len(self._endings) >= _REMEMBERED:
                    self._endings.clear()
                self._endings[ending] = known
        env.update(known)
        return after if position <= end else 0


def _read_ending(data: bytes) -> Optional[Dict[str, str]]:
    try:
        return fastcgi.parse_pairs(data)
    except fastcgi.ProtocolError:
        return None
