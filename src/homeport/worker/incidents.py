"""What went wrong, told to three readers: the site's logs (all of it), the platform (a report), the visitor (a number)."""

import contextlib
import datetime
import json
import os
import sys
import traceback
from typing import Dict

from homeport.worker.wsgi_log import write_log

_KEPT_REPORTS = 20
_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>500 Internal Server Error</title></head>\n"
    "<body><h1>500 Internal Server Error</h1>\n"
    "<p>The application could not answer this request. Incident {}.</p></body></html>\n"
)
START_HEADLINE = "Error occurred while reading WSGI handler"
REQUEST_HEADLINE = "Error occurred"


def error_page(incident: str) -> bytes:
    """Return the page for visitors: HTML that carries the incident's id and nothing of the failure."""
    return _PAGE.format(incident).encode("ascii")


class Incidents:
    """Writes failures of one worker to stderr, to WSGI_LOG and to the folder of reports."""

    def __init__(self, folder: str, handler: str) -> None:
        self._folder = folder
        self._handler = handler

    def startup(self, error: BaseException) -> str:
        """Record that the application could not be loaded; return the incident's id."""
        return self._record(START_HEADLINE, error, {"kind": "startup"})

    def request(self, error: BaseException, method: str, path: str) -> str:
        """Record that the application failed in a request; return the incident's id.

        The report holds the path without the query, which may carry what must not be stored.
        """
        return self._record(REQUEST_HEADLINE, error, {"kind": "request", "method": method, "path": path})

    def _record(self, headline: str, error: BaseException, details: Dict[str, str]) -> str:
        incident = os.urandom(8).hex()
        told = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        # The sections of wfastcgi's text (IIS reference §3.11). Both are empty here: what the application prints
        # is not held back until something fails, it is in this very log already.
        text = "{}:\n\n{}\nStdOut: \n\nStdErr: \n".format(headline, told)
        _write_stderr("{}Incident: {}\n".format(text, incident))
        write_log(text)
        report = {
            "id": incident,
            "time": datetime.datetime.now(datetime.timezone.utc).isoformat(),
            "headline": headline,
            "traceback": told,
            "python": "{}.{}.{}".format(*sys.version_info[:3]),
            "handler": self._handler,
        }
        report.update(details)
        if "HOMEPORT_PREVIEW" in os.environ:  # its LogFiles are those of the live site
            report["preview"] = os.environ["HOMEPORT_PREVIEW"]
        self._store(incident, report)
        return incident

    def _store(self, incident: str, report: Dict[str, str]) -> None:
        if not self._folder:
            return
        path = os.path.join(self._folder, incident + ".json")
        try:
            os.makedirs(self._folder, exist_ok=True)
            with open(path + ".part", "w", encoding="utf-8", errors="backslashreplace") as stream:
                json.dump(report, stream)
            os.replace(path + ".part", path)
            self._forget_old()
        except OSError as error:
            _write_stderr("The report of incident {} could not be stored: {}\n".format(incident, error))

    def _forget_old(self) -> None:
        """Keep the newest reports. Workers of one site may do so at the same time: a vanished file is no error."""
        dated = []
        for name in os.listdir(self._folder):
            path = os.path.join(self._folder, name)
            try:
                dated.append((os.stat(path).st_mtime_ns, path))
            except FileNotFoundError:
                continue
        for _, path in sorted(dated)[:-_KEPT_REPORTS]:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)


def _write_stderr(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        # The application closed or replaced its stderr: its failure still has to reach the log and the visitor.
        os.write(2, text.encode("utf-8", "backslashreplace"))
