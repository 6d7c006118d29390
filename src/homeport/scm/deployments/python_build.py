"""The Python part of a deployment: requirements, `web.<version>.config`, Django's static files.

Kudu reference §12.5. Kudu makes a virtual environment in the web root; here the packages go into the runtime that
web.config names, which is what its handler runs on.
"""

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.deployments.build_process import IdleTimeout, run_program
from homeport.scm.deployments.hosting import SitePython
from homeport.scm.deployments.log import DeploymentLog, Kind
from homeport.scm.options import ScmOptions

_UV_OLDEST = (3, 8)
_UNDERSTOOD = frozenset(
    {
        "PIP_CERT",
        "PIP_DISABLE_PIP_VERSION_CHECK",
        "PIP_DEFAULT_TIMEOUT",
        "PIP_NO_INPUT",
        "PIP_ROOT_USER_ACTION",
    }
)
_PIP_FILES = ("/etc/pip.conf", ".config/pip/pip.conf", ".pip/pip.conf")
_CERTIFICATES = ("cert", "disable-pip-version-check", "timeout", "default-timeout")


class BuildFailed(Exception):
    """A step of the build failed; the message is for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRun:
    """What every step of one build shares."""

    options: ScmOptions
    environment: Mapping[str, str]
    log: DeploymentLog
    idle_seconds: float
    checkpoint: Callable[[], None]

    def program(self, line: Sequence[str], *, directory: Path) -> int:
        """Run a program with its lines in the log; raises `BuildFailed` where it cannot be started or hangs."""
        try:
            return run_program(
                line,
                directory=directory,
                environment=self.environment,
                say=self.log.child,
                say_error=lambda text: self.log.child(text, Kind.WARNING),
                idle_seconds=self.idle_seconds,
                checkpoint=self.checkpoint,
            )
        except IdleTimeout as error:
            shown = f"{Path(line[0]).name} {' '.join(line[1:])}"
            raise BuildFailed(f"Command '{shown[:60]}' {error}") from error
        except OSError as error:
            raise BuildFailed(f"'{line[0]}' cannot be started: {error.strerror or error}.") from error


def is_python_site(source: Path) -> bool:
    """Tell whether a package is built as a Python site: it lists requirements."""
    return (source / "requirements.txt").is_file()


def build_python(run: BuildRun, target: Path, *, choose: Callable[[], tuple[SitePython, str]]) -> None:
    """Install what the site in `target` requires; raises `BuildFailed`, and what `choose` raises.

    `choose` gives the Python to install into, and a warning for the log (empty: none).
    """
    run.log.child("Handling python deployment.")
    if not is_python_site(target):
        run.log.child("There is no requirements.txt: nothing is installed.")
        return
    if (target / ".skipPythonDeployment").exists():
        run.log.child("Found .skipPythonDeployment: nothing is installed.")
        return
    python, note = choose()
    if note:
        run.log.child(note, Kind.WARNING)
    _install(run, python, target)
    _choose_web_config(run, python, target)
    _collect_static(run, python, target)


def _install(run: BuildRun, python: SitePython, target: Path) -> None:
    requirements = str(target / "requirements.txt")
    if uv := _usable_uv(run, python):
        run.log.child(f"Installing requirements.txt with uv into {python}.")
        line = [uv, "pip", "install", "--python", str(python.program), "--compile-bytecode", "--no-progress"]
        if run.program([*line, "--color", "never", "-r", requirements], directory=target) == 0:
            return
        # uv is stricter in places (one index per package, old version texts): pip has the last word.
        run.log.child("uv could not install them; trying pip.", Kind.WARNING)
    else:
        run.log.child(f"Installing requirements.txt with pip into {python}.")
    line = [str(python.program), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    code = run.program([*line, "-r", requirements], directory=target)
    if code != 0:
        raise BuildFailed(f"pip could not install requirements.txt: it ended with exit code {code}.")


def _usable_uv(run: BuildRun, python: SitePython) -> str | None:
    """Return uv where it gives what pip would: a Python it knows, and no pip settings that it does not read."""
    environment = run.environment
    if python.version < _UV_OLDEST or run.environment.get("HOMEPORT_BUILD_INSTALLER", "").lower() == "pip":
        return None
    foreign = [name for name in environment if name.startswith("PIP_") and name not in _UNDERSTOOD]
    if foreign or any(_has_settings(run.options.home / name) for name in _PIP_FILES):
        return None
    beside = Path(sys.executable).with_name("uv")
    found = shutil.which("uv", path=environment.get("PATH", os.defpath))
    return found or (str(beside) if os.access(beside, os.X_OK) else None)


def _has_settings(path: Path) -> bool:
    """Tell whether a pip configuration file says more than certificates and time limits."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return False
    keys = [line.partition("=")[0].strip() for line in lines if "=" in line and line.strip()[:1] not in "#;"]
    return any(key not in _CERTIFICATES for key in keys)


def _choose_web_config(run: BuildRun, python: SitePython, target: Path) -> None:
    if len(python.version) < 2:
        return
    source = target / f"web.{python.version[0]}.{python.version[1]}.config"
    if source.is_file():
        run.log.child(f"Overwriting web.config with {source.name}")
        shutil.copyfile(source, target / "web.config")


def _collect_static(run: BuildRun, python: SitePython, target: Path) -> None:
    if not (target / "manage.py").is_file() or (target / ".skipDjango").exists():
        return
    has_django = "import importlib.util as u, sys; sys.exit(u.find_spec('django') is None)"
    if run.program([str(python.program), "-c", has_django], directory=target) != 0:
        return
    run.log.child(
        "Collecting Django static files. You can skip Django specific steps with a .skipDjango file."
    )
    (target / "static").mkdir(exist_ok=True)
    line = [str(python.program), "manage.py", "collectstatic", "--noinput", "--clear"]
    if run.program(line, directory=target) != 0:
        run.log.child("collectstatic failed; the deployment goes on without it.", Kind.WARNING)
