"""The shared-memory scoreboard: one fixed slot a worker, written by it, read by the agent.

The memory is a sealed memfd that the agent makes (it cannot shrink under the agent's feet) and each worker
inherits. Everything is little endian. One writer a slot, aligned stores, so no lock: a reader may see a request
that has just ended, never a torn number on the machines we run on. Content comes from tenants' processes: readers
treat it as a hint about that tenant only.

    offset  size  field
         0     4  state            one of the constants below
         4     4  pid              as the worker sees itself (its own PID namespace)
         8     8  request_started  CLOCK_MONOTONIC ns of the request in hand; 0 when there is none
        16     8  requests         requests completed since start
        24     8  last_activity    CLOCK_MONOTONIC ns of the last byte read or written for a request, or of its end
        32     8  ready_at         CLOCK_MONOTONIC ns when the application had been imported; 0 before
        40     4  connection       number of the shared connection in hand, from the moment that the worker is woken for it
                                   until others can be; 0 for none
        48     2  url_length
        50   448  url              "METHOD /path?query" of the request in hand, UTF-8, cut
"""

import struct

SLOT_SIZE = 512

FREE = 0
STARTING = 1
IDLE = 2
BUSY = 3
FAILED = 4
"""The application could not be started; the worker answers 500 to everyone until it ends itself."""
STOPPING = 5

STATE_OFFSET = 0
PID_OFFSET = 4
REQUEST_STARTED_OFFSET = 8
REQUESTS_OFFSET = 16
LAST_ACTIVITY_OFFSET = 24
READY_AT_OFFSET = 32
CONNECTION_OFFSET = 40
URL_LENGTH_OFFSET = 48
URL_OFFSET = 50
URL_SIZE = 448

U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
U16 = struct.Struct("<H")
