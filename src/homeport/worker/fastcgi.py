"""The FastCGI 1.0 wire format: record types, headers and name-value pairs. No I/O.

One record is an eight-byte header (version, type, request id, content length, padding length, reserved), the content
and the padding. Names are those of the specification without their FCGI_ prefix.
"""

import struct
from typing import Dict, List, Tuple

VERSION = 1

BEGIN_REQUEST = 1
ABORT_REQUEST = 2
END_REQUEST = 3
PARAMS = 4
STDIN = 5
STDOUT = 6
STDERR = 7
DATA = 8
GET_VALUES = 9
GET_VALUES_RESULT = 10
UNKNOWN_TYPE = 11

RESPONDER = 1
KEEP_CONN = 1
"""The flag of BEGIN_REQUEST by which a client says that it will close the connection itself."""

REQUEST_COMPLETE = 0
CANT_MPX_CONN = 1
UNKNOWN_ROLE = 3

HEADER = struct.Struct(">BBHHBx")
HEADER_SIZE = 8
BEGIN_BODY = struct.Struct(">HB5x")
END_BODY = struct.Struct(">IB3x")
MAX_CONTENT = 65528
"""Bytes of output in one record: the largest length that needs no padding to stay a multiple of eight."""
MAX_PARAMS = 1 << 20
"""Bytes of parameters that one request may bring; nginx sends less than 64 KiB."""

CAPABILITIES = {"FCGI_MAX_CONNS": "1", "FCGI_MAX_REQS": "1", "FCGI_MPXS_CONNS": "0"}
"""Our answers to GET_VALUES, those of wfastcgi (IIS reference §2.2)."""


class ProtocolError(Exception):
    """The peer sent bytes that are not FastCGI; the connection is of no further use."""


def record(kind: int, request_id: int, content: bytes = b"") -> bytes:
    """Return one record; content is at most 65535 bytes."""
    return HEADER.pack(VERSION, kind, request_id, len(content), 0) + content


def end_request(request_id: int, *, protocol_status: int = REQUEST_COMPLETE) -> bytes:
    """Return the END_REQUEST record of a request whose application status is 0."""
    return record(END_REQUEST, request_id, END_BODY.pack(0, protocol_status))


def end_of_output(request_id: int) -> bytes:
    """Return what follows the last byte of output: the empty STDOUT record and END_REQUEST."""
    return record(STDOUT, request_id) + end_request(request_id)


def unknown_type(kind: int) -> bytes:
    """Return the answer to a management record of a type that we do not know."""
    return record(UNKNOWN_TYPE, 0, bytes((kind, 0, 0, 0, 0, 0, 0, 0)))


def values_result(query: bytes) -> bytes:
    """Return the answer to GET_VALUES: what we know of the names asked for. Raises ProtocolError."""
    known = [(name, CAPABILITIES[name]) for name in parse_pairs(query) if name in CAPABILITIES]
    return record(GET_VALUES_RESULT, 0, render_pairs(known))


def parse_pairs(data: bytes) -> Dict[str, str]:
    """Return the name-value pairs of a complete stream as latin-1 text (PEP 3333); the last of equal names wins.

    Raises ProtocolError when a length points past the end.
    """
    pairs: Dict[str, str] = {}
    position = 0
    size = len(data)
    text = data.decode("latin-1")
    while position < size:
        name_size, position = _length(data, position)
        value_size, position = _length(data, position)
        value_at = position + name_size
        end = value_at + value_size
        if end > size:
            raise ProtocolError("a parameter is longer than the stream that holds it")
        pairs[text[position:value_at]] = text[value_at:end]
        position = end
    return pairs


def _length(data: bytes, position: int) -> Tuple[int, int]:
    """Read one length of one or four bytes; return it and the position behind it."""
    if position < len(data) and data[position] < 128:
        return data[position], position + 1
    if position + 4 > len(data):
        raise ProtocolError("the parameters end inside a length")
    return int.from_bytes(data[position : position + 4], "big") & 0x7FFFFFFF, position + 4


def render_pairs(pairs: List[Tuple[str, str]]) -> bytes:
    """Return name-value pairs as they travel; the texts are latin-1."""
    parts: List[bytes] = []
    for name, value in pairs:
        raw_name, raw_value = name.encode("latin-1"), value.encode("latin-1")
        parts += (_packed_length(len(raw_name)), _packed_length(len(raw_value)), raw_name, raw_value)
    return b"".join(parts)


def _packed_length(size: int) -> bytes:
    return bytes((size,)) if size < 128 else (size | 0x80000000).to_bytes(4, "big")
