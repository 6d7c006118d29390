"""What a worker and the agent tell each other about the connections that the workers of a pool share.

Each worker has a SOCK_SEQPACKET pair to the agent; a message is one kind and one number, and for KEEP and HERE a
descriptor. A connection has the same number in every worker: it is the number of its descriptor there, because epoll
knows its entries by that number.

    worker → agent
    KEEP n + descriptor   from now on this connection is number n, one of those that I was given
    WANT n                I have no connection n that is open; send it
    GONE n                I have cut connection n
    agent → worker
    TAKE n                number n is yours to give to a connection
    HERE n + descriptor   the connection that was wanted
    NONE n                there is no connection n
"""

import struct

FIRST = 1024
"""The lowest number: above what applications commonly have open, low enough for a small descriptor table."""
MOST = 4096
"""Numbers, so connections, that a pool can have at once."""
STOCK = 16
"""Numbers that a worker holds in reserve, so that it need not wait for the agent."""

KEEP = 1
WANT = 2
GONE = 3
TAKE = 4
HERE = 5
NONE = 6

MESSAGE = struct.Struct("<BxxxI")


def is_shared(number: int) -> bool:
    """Tell a connection's number from that of the listening socket, which shares the epoll instance."""
    return FIRST <= number < FIRST + MOST
