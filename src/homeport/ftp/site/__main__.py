"""`python -m homeport.ftp.site`: descriptor 0 is the listening Unix socket that the front connects to."""

import logging
import os
import signal
import socket
import sys


def main() -> None:
    """Serve sessions until SIGTERM, or until there has been none for a while."""
    listening = socket.socket(fileno=os.dup(0))
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
    )
    # pyftpdlib loads pyOpenSSL where it finds one, the system's too; TLS is the front's.
    sys.modules["OpenSSL"] = None  # type: ignore[assignment]
    from homeport.ftp.site.server import serve

    serve(listening)


if __name__ == "__main__":
    main()
