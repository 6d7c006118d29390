"""An agent that keeps everything in memory and speaks the agent's API over a real Unix socket."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route


class MemoryAgent:
    """What it was told, and what it will answer; tests read and set the fields."""

    def __init__(self) -> None:
        self.revision = 0
        self.desired: dict[str, dict[str, Any]] = {}
        self.homes: set[str] = set()
        self.pushes = 0
        self.pushed = threading.Condition()
        self.may_finish = threading.Event()
        self.may_push = threading.Event()
        self.forget()

    def forget(self) -> None:
        """Drop what a test recorded or arranged; the desired state stays."""
        self.restarted: list[str] = []
        self.removed: list[tuple[str, str]] = []
        self.undeletable: set[str] = set()
        self.records: dict[str, tuple[list[str], str | None]] = {}
        self.may_push.set()
        self.problems: dict[str, str] = {}
        self.install_error: dict[str, object] | None = None
        self.may_finish.set()

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/desired", self._put_desired, methods=["PUT"]),
                Route("/observed", self._observed),
                Route("/gallery", self._gallery),
                Route("/names/{host}", self._name),
                Route("/metrics", self._metrics),
                Route("/sites/{site}", self._delete_home, methods=["DELETE"]),
                Route("/sites/{site}/restart", self._restart, methods=["POST"]),
                Route("/sites/{site}/runtimes", self._install, methods=["POST"]),
                Route("/sites/{site}/runtimes/{folder}", self._uninstall, methods=["DELETE"]),
            ]
        )

    def wait_for_push(self, *, more_than: int = 0) -> None:
        """Wait until the desired state has arrived more often than that."""
        with self.pushed:
            assert self.pushed.wait_for(lambda: self.pushes > more_than, timeout=20)

    async def _put_desired(self, request: Request) -> Response:
        body = await request.json()
        await asyncio.to_thread(self.may_push.wait, 20)
        self.revision = body["revision"]
        self.desired = {site["name"]: site for site in body["sites"]}
        self.homes |= self.desired.keys()
        with self.pushed:
            self.pushes += 1
            self.pushed.notify_all()
        return JSONResponse({"revision": self.revision, "problems": self.problems})

    async def _observed(self, _: Request) -> Response:
        sites = {
            name: {
                "ready": True,
                "problem": "",
                "processes": [{"pid": 7, "kind": "worker", "state": "idle", "pool": "main"}],
                "pools": [{"id": "main", "state": "idle", "reason": ""}],
                "findings": [
                    {"severity": "warning", "code": "x", "message": "something", "file": "web.config"}
                ],
            }
            for name in self.desired
        }
        answer = {"revision": self.revision, "sites": sites, "addresses": {}, "missing": ["cgroup memory"]}
        return JSONResponse(answer)

    async def _gallery(self, _: Request) -> Response:
        entry = {"id": "python3117x64", "version": "3.11.7", "build": "cpython-3.11.7", "state": "installed"}
        return JSONResponse({"entries": [{**entry, "recommended": True}]})

    async def _metrics(self, _: Request) -> Response:
        return JSONResponse({"counts": [{"site": "hello", "requests": 1}], "text": "homeport_requests 1\n"})

    async def _name(self, request: Request) -> Response:
        texts, alias = self.records.get(request.path_params["host"], ([], None))
        return JSONResponse({"texts": texts, "alias": alias})

    async def _restart(self, request: Request) -> Response:
        self.restarted.append(request.path_params["site"])
        return Response(status_code=202)

    async def _install(self, request: Request) -> Response:
        body, site = await request.json(), request.path_params["site"]
        if site not in self.desired:
            return _error(404, "NotFound", f"This node hosts no site '{site}'.")
        return StreamingResponse(self._install_lines(body["id"]), media_type="application/x-ndjson")

    async def _install_lines(self, runtime_id: str) -> AsyncIterator[bytes]:
        yield _line({"progress": "Copying", "fraction": 0.5})
        await asyncio.to_thread(self.may_finish.wait, 20)
        if self.install_error:
            yield _line({"error": self.install_error})
            return
        runtime = {"folder": runtime_id, "id": runtime_id, "version": "3.6.15", "build": "cpython-3.6.15"}
        yield _line({"result": {**runtime, "base": "/opt/python", "note": "served by 3.6.15"}})

    async def _uninstall(self, request: Request) -> Response:
        self.removed.append((request.path_params["site"], request.path_params["folder"]))
        return Response(status_code=204)

    async def _delete_home(self, request: Request) -> Response:
        name = request.path_params["site"]
        if name in self.desired or name not in self.homes:
            return _error(404, "NotFound", f"There are no files of a former site '{name}'.")
        if name in self.undeletable:
            return _error(503, "Unavailable", f"The files of '{name}' could not be deleted.")
        self.homes.discard(name)
        return Response(status_code=204)


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status_code=status)


@contextmanager
def serving(agent: MemoryAgent, socket: Path) -> Iterator[None]:
    """Serve it at a socket until the end of the block; the socket goes with it."""
    config = uvicorn.Config(agent.application(), uds=str(socket), log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
        socket.unlink(missing_ok=True)
