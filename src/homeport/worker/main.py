"""Assembles a worker: options, environment, application, loop (IIS reference §3.3)."""

import atexit
import faulthandler
import importlib
import io
import os
import signal
import socket
import sys
from typing import Any, Optional

from homeport.worker import scoreboard
from homeport.worker.bytecode import keep_settled_bytecode_only
from homeport.worker.environment import Environment
from homeport.worker.handler import load_handler
from homeport.worker.incidents import Incidents, error_page
from homeport.worker.options import WorkerOptions, read_options, scoreboard_slot, shared_descriptors
from homeport.worker.serving import Application, Server
from homeport.worker.settings import environment_from, names_debugger, search_path_from
from homeport.worker.shared import SharedConnections
from homeport.worker.slot import Slot, open_slot, private_slot
from homeport.worker.stopping import Stop, Terminated
from homeport.worker.wsgi_log import NAME, write_log

_LONGEST_LINGER_SECONDS = 60.0


def main() -> int:
    """Serve the site that the environment describes; return the exit code, 0 for every regular end."""
    options = read_options(os.environ)
    slot = _open_slot()
    shared = _open_shared()
    listener = _take_listener()
    _open_streams()
    faulthandler.enable(file=2)
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    stop = Stop(listener.fileno())
    stop.install()
    slot.become(scoreboard.STARTING)
    atexit.register(write_log, NAME + " closed")
    try:
        _serve(options, slot, listener, stop, shared)
    except Terminated:
        pass
    slot.become(scoreboard.STOPPING)
    return 0


def _serve(
    options: WorkerOptions,
    slot: Slot,
    listener: socket.socket,
    stop: Stop,
    shared: Optional[SharedConnections],
) -> None:
    _apply_settings(options)
    keep_settled_bytecode_only()
    incidents = Incidents(options.failure_report, os.environ.get("WSGI_HANDLER", ""))
    application = _load(options, incidents, slot)
    stop.started()
    environment = Environment(options.constant_params, os.environ, options.physical_path)
    server = Server(
        listener,
        application,
        environment=environment,
        slot=slot,
        incidents=incidents,
        stop=stop,
        shared=shared,
    )
    try:
        _run(server, options, slot)
    finally:
        server.close()


def _run(server: Server, options: WorkerOptions, slot: Slot) -> None:
    if slot.resting == scoreboard.FAILED:
        server.serve(options.instance_max_requests, options.failure_linger_seconds, _LONGEST_LINGER_SECONDS)
        return
    accelerator = None if options.accelerator == "off" else _accelerator(options.accelerator == "require")
    slot.become(scoreboard.IDLE)
    if accelerator is None:
        server.serve(options.instance_max_requests)
    else:
        server.serve_compiled(accelerator, options.instance_max_requests)


def _accelerator(required: bool) -> Any:
    """Return the compiled loop; None when this installation has none. Raises ImportError when it is required."""
    try:
        return importlib.import_module("homeport.worker._accelerator")
    except ImportError:
        if required:
            raise
        return None


def _apply_settings(options: WorkerOptions) -> None:
    """Give the process the environment, working directory and search path of §3.3 and §3.4."""
    os.environ.update(environment_from(options.app_settings))
    write_log(NAME + " started")
    write_log("Python version: " + sys.version)
    write_log(NAME + " initializing")
    sys.path.insert(0, ".")
    sys.path += search_path_from(options.app_settings, os.environ)
    if names_debugger(options.app_settings):
        write_log("WSGI_PTVSD_SECRET is ignored: the platform's own debugger replaces it")


def _load(options: WorkerOptions, incidents: Incidents, slot: Slot) -> Application:
    """Import the application, or return one that says that it could not be."""
    try:
        os.chdir(options.physical_path)
        application = _with_insights(load_handler(os.environ))
    except (Terminated, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - the request boundary of start-up: sys.exit() is a failure too
        slot.become(scoreboard.FAILED)
        return _failed_application(incidents.startup(error))
    write_log(NAME + " initialized")
    return application


def _with_insights(application: Any) -> Application:
    """Wrap the application for Application Insights where its key is set and its package is there (§3.2)."""
    key = os.environ.get("APPINSIGHTS_INSTRUMENTATIONKEY", "")
    if not key:
        return application  # type: ignore[no-any-return]
    try:
        # A package of the site, if any: it is not there for the type checker.
        from applicationinsights.requests import WSGIApplication  # type: ignore[import-not-found]

        return WSGIApplication(key, application)  # type: ignore[no-any-return]
    except Exception as error:  # noqa: BLE001 - tenants' code: monitoring must never keep an application from starting
        write_log("Application Insights could not be set up: {!r}".format(error))
        return application  # type: ignore[no-any-return]


def _failed_application(incident: str) -> Application:
    page = error_page(incident)
    headers = [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(page)))]

    def answer(_environ: Any, start_response: Any) -> Any:
        start_response("500 Internal Server Error", headers)
        return [page]

    return answer


def _open_slot() -> Slot:
    place = scoreboard_slot(os.environ)
    return private_slot() if place is None else open_slot(*place)


def _open_shared() -> Optional[SharedConnections]:
    descriptors = shared_descriptors(os.environ)
    return None if descriptors is None else SharedConnections(*descriptors)


def _take_listener() -> socket.socket:
    """Move the listening socket from fd 0 to a number of its own.

    Children of the application inherit fd 0; it must be an empty input for them, never a door to requests.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, os.dup(0))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    if null:
        os.close(null)
    return listener


def _open_streams() -> None:
    """Make prints reach the site's log line by line, and never fail for a character."""
    sys.stdin = sys.__stdin__ = open(os.devnull, encoding="utf-8")  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _line_buffered(sys.stdout, 1)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _line_buffered(sys.stderr, 2)  # type: ignore[misc]


def _line_buffered(stream: Optional[Any], descriptor: int) -> Any:
    buffer = stream.detach() if stream is not None else open(descriptor, "wb", closefd=False)
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)
