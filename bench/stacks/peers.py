"""The usual stacks: nginx before uWSGI, gunicorn or granian, and granian alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.machine import descendants
from bench.processes import Program, free_port, start, wait_until
from bench.samples import Load, StackName
from bench.stacks.nginx import PARAMETERS, Front, start_nginx
from bench.stacks.stack import PROCESSES, Members, answers, target
from bench.workshop import APPS, Workshop
from bench.wrk import Target

START_SECONDS = 30.0

HTTP_KEPT = (
    "proxy_pass http://application;",
    "proxy_http_version 1.1;",
    'proxy_set_header Connection "";',
    f"include {PARAMETERS}/proxy_params;",
)
HTTP_NEW = ("proxy_pass http://application;", f"include {PARAMETERS}/proxy_params;")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a peer is started: its own command for a socket or a port, and nginx's words for it (None: no nginx)."""

    name: StackName
    command: Callable[[Workshop, str, Path, int], Sequence[str]]
    location: Sequence[str] | None
    kept: int = 0


@dataclass(slots=True, kw_only=True)
class Peer:
    """One of the usual stacks."""

    recipe: Recipe
    workshop: Workshop
    _programs: list[Program] = field(default_factory=list)

    @property
    def name(self) -> StackName:
        """The stack's name in tables."""
        return self.recipe.name

    def start(self, load: Load) -> Target:
        """Start the server and, where the stack has one, nginx. Raises `StartError`."""
        folder = self.workshop.run_folder / self.name / load
        folder.mkdir(parents=True, exist_ok=True)
        # nginx's workers drop their privileges and must reach socket and spool folders.
        folder.chmod(0o777)
        socket, port, core = folder / "app.sock", free_port(), self.workshop.cores.server
        socket.unlink(missing_ok=True)
        server = start(
            self.recipe.command(self.workshop, f"{load}:app", socket, port),
            core=core,
            log=folder / "server.log",
            folder=APPS,
            environment={"PYTHONPATH": str(APPS)},
        )
        self._programs.append(server)
        if self.recipe.location is not None:
            wait_until(
                socket.exists, seconds=START_SECONDS, what=f"{self.name} opens its socket", program=server
            )
            socket.chmod(0o666)
            front = Front(address=f"unix:{socket}", location=self.recipe.location, kept=self.recipe.kept)
            self._programs.append(start_nginx(front, folder=folder, port=port, core=core))
        where = target(load, port=port, host="bench.localhost")
        wait_until(
            lambda: answers(where, load=load),
            seconds=START_SECONDS,
            what=f"{self.name} answers",
            program=server,
        )
        return where

    def members(self) -> Members:
        """The server with its processes is the site, nginx the front."""
        server, *front = (tuple(descendants(program.pid)) for program in self._programs)
        return Members(front=front[0] if front else (), site=server)

    def stop(self) -> None:
        """Stop nginx, then the server."""
        while self._programs:
            self._programs.pop().stop()


def _uwsgi(workshop: Workshop, app: str, socket: Path, _port: int) -> list[str]:
    return [
        *(workshop.tool("uwsgi"), "--master", "--processes", str(PROCESSES), "--die-on-term", "--need-app"),
        *("--single-interpreter", "--disable-logging", "--listen", "1024", "--max-fd", "16384"),
        *("--virtualenv", str(workshop.python.parent.parent), "--socket", str(socket), "--module", app),
    ]


def _gunicorn(workshop: Workshop, app: str, socket: Path, *, kind: Sequence[str]) -> list[str]:
    return [
        *(workshop.tool("gunicorn"), "--workers", str(PROCESSES), "--bind", f"unix:{socket}"),
        *("--backlog", "1024", "--no-control-socket", "--log-level", "warning", *kind, app),
    ]


def _gunicorn_sync(workshop: Workshop, app: str, socket: Path, _port: int) -> list[str]:
    return _gunicorn(workshop, app, socket, kind=("--worker-class", "sync"))


def _gunicorn_gthread(workshop: Workshop, app: str, socket: Path, _port: int) -> list[str]:
    return _gunicorn(workshop, app, socket, kind=("--worker-class", "gthread", "--threads", "4"))


def _granian(workshop: Workshop, app: str, *, bind: Sequence[str]) -> list[str]:
    return [
        *(workshop.tool("granian"), "--interface", "wsgi", "--workers", str(PROCESSES), "--no-ws"),
        *("--blocking-threads", "1", "--log-level", "warning", *bind, app),
    ]


def _granian_socket(workshop: Workshop, app: str, socket: Path, _port: int) -> list[str]:
    return _granian(workshop, app, bind=("--uds", str(socket)))


def _granian_port(workshop: Workshop, app: str, _socket: Path, port: int) -> list[str]:
    return _granian(workshop, app, bind=("--host", "127.0.0.1", "--port", str(port)))


RECIPES = (
    Recipe(
        name=StackName.UWSGI,
        command=_uwsgi,
        location=("uwsgi_pass application;", f"include {PARAMETERS}/uwsgi_params;"),
    ),
    Recipe(name=StackName.GUNICORN_SYNC, command=_gunicorn_sync, location=HTTP_NEW),
    Recipe(name=StackName.GUNICORN_GTHREAD, command=_gunicorn_gthread, location=HTTP_KEPT, kept=128),
    Recipe(name=StackName.GRANIAN, command=_granian_socket, location=HTTP_KEPT, kept=128),
    Recipe(name=StackName.GRANIAN_DIRECT, command=_granian_port, location=None),
)


def peers(workshop: Workshop) -> list[Peer]:
    """Give every peer, not started."""
    return [Peer(recipe=recipe, workshop=workshop) for recipe in RECIPES]
