"""A worker's own slot of the scoreboard, as the pure-Python loop writes it (layout: `homeport.worker.scoreboard`)."""

import mmap
import os
import struct
import time

from homeport.worker import scoreboard as layout

# One store for all fields: many small ones cost more than the bytes. The order of the fields is the layout's.
_BUSY = struct.Struct("<IIQQQQI4xH448s")
_REST = struct.Struct("<IIQQQQI")
_CLAIM = struct.Struct("<I")
_COUNT = struct.Struct("<Q")


def _fallback_clock() -> int:
    return int(time.monotonic() * 1e9)


# CPython 3.6 has no monotonic_ns.
clock = getattr(time, "monotonic_ns", _fallback_clock)


class Slot:
    """Writes one slot. `resting` is the state between requests, IDLE unless the application failed to start."""

    __slots__ = (
        "_activity_at",
        "_at",
        "_memory",
        "_pid",
        "_ready_at",
        "_connection",
        "_connection_at",
        "descriptor",
        "has_request",
        "index",
        "requests",
        "resting",
    )

    def __init__(self, memory: mmap.mmap, index: int, descriptor: int = -1) -> None:
        self.descriptor = descriptor
        self.index = index
        self._memory = memory
        self._at = index * layout.SLOT_SIZE
        if self._at + layout.SLOT_SIZE > len(memory):
            raise ValueError("the scoreboard has no slot {}".format(index))
        self._activity_at = self._at + layout.LAST_ACTIVITY_OFFSET
        self._pid = os.getpid()
        self._ready_at = 0
        self._connection_at = self._at + layout.CONNECTION_OFFSET
        self._connection = 0
        self.has_request = False
        """Whether a request has begun and not ended."""
        self.requests = 0
        self.resting = layout.STARTING

    def claim(self, connection: int) -> None:
        """Note that this shared connection is in hand; 0: one that nobody else has. It is so until `end`."""
        self._connection = connection
        _CLAIM.pack_into(self._memory, self._connection_at, connection)

    def begin(self, url: bytes) -> None:
        """Note that a request is in hand; `url` is `METHOD /path?query`."""
        self.has_request = True
        now = clock()
        _BUSY.pack_into(
            self._memory,
            self._at,
            layout.BUSY if self.resting == layout.IDLE else self.resting,
            self._pid,
            now,
            self.requests,
            now,
            self._ready_at,
            self._connection,
            min(len(url), layout.URL_SIZE),
            url,
        )

    def touch(self) -> None:
        """Note that bytes moved for the request in hand."""
        _COUNT.pack_into(self._memory, self._activity_at, clock())

    def end(self) -> None:
        """Count a request as completed; without one, only let go of the connection in hand."""
        if self.has_request:
            self.has_request = False
            self.requests += 1
        self._connection = 0
        self.rest()

    def rest(self) -> None:
        """Note that no request is in hand."""
        _REST.pack_into(
            self._memory, self._at, self.resting, self._pid, 0, self.requests, clock(), self._ready_at, 0
        )

    def become(self, state: int) -> None:
        """Enter a state between requests; the first time it is IDLE the application has become ready."""
        self.resting = state
        # The compiled loop counts in the memory itself.
        self.requests = _COUNT.unpack_from(self._memory, self._at + layout.REQUESTS_OFFSET)[0]
        if state == layout.IDLE and not self._ready_at:
            self._ready_at = clock()
        self.rest()


def open_slot(descriptor: int, index: int) -> Slot:
    """Map the scoreboard behind the descriptor. Raises OSError or ValueError."""
    return Slot(mmap.mmap(descriptor, os.fstat(descriptor).st_size), index, descriptor)


def private_slot() -> Slot:
    """Return a slot that nobody reads, for a worker without a scoreboard."""
    return Slot(mmap.mmap(-1, layout.SLOT_SIZE), 0)
