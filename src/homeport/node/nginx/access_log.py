"""What nginx writes down of each request, into one file of the platform for all sites.

A line is written for every request and holds what metrics need; where a site keeps access logs, its line holds the
rest too. nginx collects lines and writes them once a second or when 64 KB have come together (decision 10).
Fields are separated by quotes, which no value can hold: nginx writes quotes, backslashes and control characters of
values as `\\xHH`. What metrics need are names and numbers of ours, so that line is written as it is.
"""

from homeport.node.nginx.pages import SUB_STATUS
from homeport.node.nginx.rule_names import TAKEN_BY
from homeport.node.nginx.writer import Node, Text, Variable, directive

_METRICS, _FULL = "homeport_metrics", "homeport_full"
SEPARATOR = '"'
METRIC_FIELDS = ("server_name", "status", "request_time", "bytes_sent", "request_length", TAKEN_BY.name)
FULL_FIELDS = (  # the method is that of `request`: an error's page changes $request_method
    *METRIC_FIELDS,
    *("upstream_addr", "msec", "request", "request_uri", "server_port", "remote_user", "remote_addr"),
    *("http_user_agent", "http_cookie", "http_referer", "http_host", SUB_STATUS.name),
)


def log_formats() -> list[Node]:
    """Define the two kinds of line."""
    return [
        directive("log_format", _METRICS, "escape=none", _line(METRIC_FIELDS)),
        directive("log_format", _FULL, _line(FULL_FIELDS)),
    ]


def access_log(file: str, *, full: bool) -> Node:
    """Write lines to the file; every directive that names it must have the same buffer."""
    return directive("access_log", file, _FULL if full else _METRICS, "buffer=64k", "flush=1s")


def _line(fields: tuple[str, ...]) -> Text:
    parts: list[str | Variable] = []
    for name in fields:
        parts += [SEPARATOR, Variable(name)]
    return Text(*parts[1:])
