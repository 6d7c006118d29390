"""The log file that the variable WSGI_LOG names (IIS reference §3.8)."""

import datetime
import os

NAME = "wfastcgi.py 3.0.0"
"""The name in the lines: that of the program whose contract this worker keeps, so readers of such logs go on working."""


def write_log(text: str) -> None:
    """Append one entry in local time; do nothing without WSGI_LOG, and never fail because of the log.

    The variable is read at each entry, since an application may set it.
    """
    path = os.environ.get("WSGI_LOG", "")
    if not path:
        return
    entry = "{}: {}".format(datetime.datetime.now(), text)  # noqa: DTZ005 - the format's times are local
    if not entry.endswith("\n"):
        entry += "\n"
    try:
        with open(path, "a", encoding="utf-8", errors="backslashreplace") as stream:
            stream.write(entry)
    except OSError:
        # A wfastcgi that cannot write its log refuses to start; a full disk is no reason to be down.
        return
