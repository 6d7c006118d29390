"""Stands where wfastcgi stood on Azure App Service; Homeport's own responder has taken over its work.

Homeport recognises the file by its name in a handler's scriptProcessor and runs the responder instead.
"""

import sys

__version__ = "3.0.0"
_TEXT = (
    "wfastcgi: this site runs on Homeport, whose own FastCGI responder does the work of wfastcgi.\n"
    "A handler in web.config that names wfastcgi.py gets it; there is nothing to start, enable or disable.\n"
)


def main() -> int:
    """Say that there is nothing to do."""
    sys.stdout.write(_TEXT)
    return 0


enable = disable = main

if __name__ == "__main__":
    sys.exit(main())
