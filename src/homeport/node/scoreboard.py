"""The agent's end of the shared-memory scoreboard (layout: `homeport.worker.scoreboard`)."""

import fcntl
import mmap
import os
from dataclasses import dataclass

from homeport.worker import scoreboard as layout

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotReading:
    """What one worker says of itself; times are CLOCK_MONOTONIC nanoseconds, 0 for never.

    `connection` is the shared connection of the request in hand, 0 for none.
    """

    state: int
    request_started: int
    requests: int
    last_activity: int
    ready_at: int
    connection: int


class Scoreboard:
    """Shared memory for the workers of one pool: sealed, so a tenant cannot shrink it under the agent."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        size = slots * layout.SLOT_SIZE
        self.descriptor = os.memfd_create("homeport-scoreboard", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self.descriptor, size)
        fcntl.fcntl(self.descriptor, fcntl.F_ADD_SEALS, _SEALS)
        self._memory = mmap.mmap(self.descriptor, size)

    def clear(self, slot: int, *, state: int = layout.FREE) -> None:
        """Reset a slot, before a worker gets it or after it is gone."""
        start = slot * layout.SLOT_SIZE
        self._memory[start : start + layout.SLOT_SIZE] = bytes(layout.SLOT_SIZE)
        layout.U32.pack_into(self._memory, start + layout.STATE_OFFSET, state)

    def read(self, slot: int) -> SlotReading:
        """Read the numbers of one slot."""
        start = slot * layout.SLOT_SIZE
        memory = self._memory
        return SlotReading(
            state=layout.U32.unpack_from(memory, start + layout.STATE_OFFSET)[0],
            request_started=layout.U64.unpack_from(memory, start + layout.REQUEST_STARTED_OFFSET)[0],
            requests=layout.U64.unpack_from(memory, start + layout.REQUESTS_OFFSET)[0],
            last_activity=layout.U64.unpack_from(memory, start + layout.LAST_ACTIVITY_OFFSET)[0],
            ready_at=layout.U64.unpack_from(memory, start + layout.READY_AT_OFFSET)[0],
            connection=layout.U32.unpack_from(memory, start + layout.CONNECTION_OFFSET)[0],
        )

    def url(self, slot: int) -> str:
        """Return "METHOD /path" of the request in hand, as far as the worker noted it."""
        start = slot * layout.SLOT_SIZE
        length = layout.U16.unpack_from(self._memory, start + layout.URL_LENGTH_OFFSET)[0]
        begin = start + layout.URL_OFFSET
        return self._memory[begin : begin + min(length, layout.URL_SIZE)].decode(errors="replace")

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()
        os.close(self.descriptor)
