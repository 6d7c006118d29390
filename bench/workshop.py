"""Everything that is prepared once: the peers' environment, compiled and installed from the package index."""

import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.machine import Cores

HERE = Path(__file__).parent
APPS = HERE / "apps"
REQUIREMENTS = APPS / "requirements.txt"
PEERS = HERE / "peers.txt"

Say = Callable[[str], None]
"""Tells a person what is going on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Where the bench works: `folder` holds environments, results and what runs leave behind."""

    folder: Path
    cores: Cores
    say: Say

    @property
    def python(self) -> Path:
        """The interpreter of the peers' environment."""
        return self.folder / "peers/bin/python"

    @property
    def run_folder(self) -> Path:
        """Where sockets, logs and written configurations of a run lie."""
        return self.folder / "run"

    def tool(self, program: str) -> str:
        """Give the path of a program of the peers' environment."""
        return str(self.python.with_name(program))


def base_python() -> str:
    """Give the interpreter that the bench's own environment was made from: the peers and the sites use it, too."""
    return str(Path(sys.base_prefix) / f"bin/python3.{sys.version_info.minor}")


def prepare_peers(workshop: Workshop) -> None:
    """Build the peers' environment, unless it holds what is asked for. Raises `CalledProcessError`."""
    wanted = PEERS.read_text() + REQUIREMENTS.read_text()
    stamp = workshop.folder / "peers/.installed"
    if stamp.exists() and stamp.read_text() == wanted:
        return
    workshop.say("building the peers from the package index (uWSGI is compiled)")
    venv.EnvBuilder(with_pip=True, clear=True).create(workshop.folder / "peers")
    install = [str(workshop.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-r", str(PEERS), "-r", str(REQUIREMENTS)], check=True)
    stamp.write_text(wanted)


def peer_versions(workshop: Workshop) -> dict[str, str]:
    """Read the versions of servers and applications from the environment itself."""
    done = subprocess.run(
        [str(workshop.python), "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    shown = ("uwsgi", "gunicorn", "granian", "flask", "django")
    pairs = (line.split("==") for line in done.stdout.splitlines() if "==" in line)
    return {name.lower(): version for name, version in pairs if name.lower() in shown}
