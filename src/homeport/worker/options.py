"""What the agent tells a worker: one JSON object in an inherited descriptor, and the number of its scoreboard slot."""

import json
import os
from typing import Any, Dict, List, MutableMapping, NamedTuple, Optional, Tuple

CONFIG_VARIABLE = "HOMEPORT_WORKER_CONFIG"
"""Decimal number of the descriptor (a memfd or a pipe) that holds the JSON object."""
SCOREBOARD_VARIABLE = "HOMEPORT_SCOREBOARD"
"""`<descriptor>:<slot index>`; absent for a worker without a scoreboard."""
CONNECTIONS_VARIABLE = "HOMEPORT_CONNECTIONS"
"""`<epoll descriptor>:<control descriptor>` of the pool's shared connections; absent for a worker on its own."""


class WorkerOptions(NamedTuple):
    """The JSON object, with the defaults of what it may leave out."""

    physical_path: str
    """The application's root: its working directory, and where '.' on `sys.path` points."""
    app_settings: List[Tuple[str, str]]
    """`<appSettings>` in document order; of equal names the last wins (IIS reference §3.4)."""
    constant_params: Dict[str, str]
    """Parameters that are equal for every request, so they do not travel with each."""
    instance_max_requests: int = 10000000
    """After so many requests the process ends itself."""
    failure_linger_seconds: float = 10.0
    """How long after its last request a worker whose application did not start goes on answering 500."""
    failure_report: str = ""
    """Folder of incident reports; empty for none."""
    accelerator: str = "auto"
    """`auto`, `off` or `require`: whether the compiled loop is used."""


def read_options(environ: MutableMapping[str, str]) -> WorkerOptions:
    """Read the descriptor that the environment names, close it, and take the variable out of the environment.

    Raises KeyError without the variable, OSError or ValueError when what it names cannot be read: that is a fault of
    the agent, never of the site.
    """
    with open(int(environ.pop(CONFIG_VARIABLE)), "rb") as stream:
        if stream.seekable():
            stream.seek(0)
        values: Dict[str, Any] = json.loads(stream.read().decode("utf-8"))
    values["app_settings"] = [(str(name), str(value)) for name, value in values.get("app_settings", ())]
    values["constant_params"] = dict(values.get("constant_params", {}))
    known = {name: value for name, value in values.items() if name in WorkerOptions._fields}
    return WorkerOptions(**known)


def scoreboard_slot(environ: MutableMapping[str, str]) -> Optional[Tuple[int, int]]:
    """Return (descriptor, slot index) and take the variable out of the environment; None when there is none."""
    text = environ.pop(SCOREBOARD_VARIABLE, "")
    if not text:
        return None
    descriptor, _, index = text.partition(":")
    return _take_over(int(descriptor)), int(index)


def shared_descriptors(environ: MutableMapping[str, str]) -> Optional[Tuple[int, int]]:
    """Return (epoll, control) of the shared connections and take the variable out of the environment; None without."""
    text = environ.pop(CONNECTIONS_VARIABLE, "")
    if not text:
        return None
    epoll, _, control = text.partition(":")
    return _take_over(int(epoll)), _take_over(int(control))


def _take_over(inherited: int) -> int:
    """Give an inherited descriptor the lowest free number, and keep it from children.

    The number that it came with is the agent's. That of a busy agent is as high as those of the shared connections,
    each of which must have the same number in every worker.
    """
    descriptor = os.dup(inherited)
    os.close(inherited)
    return descriptor
