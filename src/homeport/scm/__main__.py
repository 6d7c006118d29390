"""`python -m homeport.scm`: descriptor 0 is the listening Unix socket, the environment says which site it is."""

import os
import socket

from homeport.scm.options import options_from_environment
from homeport.scm.serving import serve


def main() -> None:
    """Run the SCM site of one site; ends with exit code 0."""
    listening = socket.socket(fileno=os.dup(0))
    quiet = os.open(os.devnull, os.O_RDONLY)
    os.dup2(quiet, 0)
    os.close(quiet)
    serve(options_from_environment(os.environ), listening)


if __name__ == "__main__":
    main()
