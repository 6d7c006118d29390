"""The Python part of a deployment: requirements, `web.<version>.config`, Django's static files.

Kudu reference §12.5. Kudu makes a virtual environment in the web root; here the packages go into the runtime that
web.config names, which is what its handler runs on.
"""

import contextlib
import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.deployments import installed_bytecode
from homeport.scm.deployments.build_note import BuildNote, distributions, read_build_note, write_build_note
from homeport.scm.deployments.build_process import IdleTimeout, run_program
from homeport.scm.deployments.hosting import SitePython
from homeport.scm.deployments.log import DeploymentLog, Kind
from homeport.scm.deployments.requirements import SOURCES, Required, is_self_contained, read_required
from homeport.scm.deployments.scripts import run_script
from homeport.scm.deployments.trees import remove_tree
from homeport.scm.options import ScmOptions

BUILD_COMMANDS = ("PRE_BUILD_COMMAND", "POST_BUILD_COMMAND")
"""The settings that name a command of the site's own."""

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
_ENVIRONMENT_FILES = ("pyvenv.cfg", "bin/activate", "Scripts/activate", "Scripts/activate.bat")
_MOST_PROGRAM_BYTES = 1024 * 1024
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

    def program(
        self,
        line: Sequence[str],
        *,
        directory: Path,
        kind: Callable[[str], Kind] = lambda _line: Kind.WARNING,
    ) -> int:
        """Run a program with its lines in the log; raises `BuildFailed` where it cannot be started or hangs.

        `kind` says how much a line on standard error matters.
        """
        try:
            return run_program(
                line,
                directory=directory,
                environment=self.environment,
                say=self.log.child,
                say_error=lambda text: self.log.child(text, kind(text)),
                idle_seconds=self.idle_seconds,
                checkpoint=self.checkpoint,
            )
        except IdleTimeout as error:
            shown = f"{Path(line[0]).name} {' '.join(line[1:])}"
            raise BuildFailed(f"Command '{shown[:60]}' {error}") from error
        except OSError as error:
            raise BuildFailed(f"'{line[0]}' cannot be started: {error.strerror or error}.") from error


def is_python_site(source: Path) -> bool:
    """Tell whether a package is built as a Python site: a file of it says what it requires."""
    return any((source / name).is_file() for name in SOURCES)


def build_python(
    run: BuildRun,
    target: Path,
    *,
    choose: Callable[[], tuple[SitePython, str]],
    stage: Callable[[SitePython], SitePython],
) -> SitePython | None:
    """Install what the site in `target` requires; raises `BuildFailed`, and what `choose` and `stage` raise.

    `choose` gives the Python to install into, and a warning for the log (empty: none); `stage` gives a copy of it to
    work on, and is not asked when the packages are there already. Returns the Python that was chosen.
    """
    run.log.child("Handling python deployment.")
    if (target / ".skipPythonDeployment").exists():
        run.log.child("Found .skipPythonDeployment: nothing is installed.")
        return None
    python, note = choose()
    if note:
        run.log.child(note, Kind.WARNING)
    _command(run, "PRE_BUILD_COMMAND", target)
    required = _required(run, target)
    stamp = _stamp(python, required)
    if required.lines and stamp and stamp == list(read_build_note(python.folder).stamp):
        run.log.child(f"{required.source} and the packages are unchanged: nothing is installed.")
        used = python
    else:
        used = stage(python)
        if used.base is not None:
            make_environment(run, used, used.base)
        place = python.place or python.folder
        before = _distributions(used)
        _install(run, used, required, target, place=place)
        name_final_place(used.folder, place)
        after = _distributions(used)
        brought = after.intersection(read_build_note(used.folder).brought) | (after - before)
        write_build_note(used.folder, BuildNote(stamp=_stamp(used, required), brought=sorted(brought)))
    _choose_web_config(run, used, target)
    _collect_static(run, used, target)
    _command(run, "POST_BUILD_COMMAND", target)
    return python


def make_environment(run: BuildRun, environment: SitePython, base: SitePython) -> None:
    """Make a virtual environment of a Python, unless it is there; raises `BuildFailed`."""
    folder, version = environment.folder, ".".join(map(str, base.version[:2]))
    with contextlib.suppress(OSError):
        same = environment.program.resolve(strict=True) == base.program.resolve(strict=True)
        if same and (folder / "pyvenv.cfg").is_file() and (folder / f"lib/python{version}").is_dir():
            return
    check_room(folder)
    run.log.child(f"Creating {environment}.")
    remove_tree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if run.program([str(base.program), "-m", "venv", str(folder)], directory=folder.parent) != 0:
        raise BuildFailed(f"{base} could not create the virtual environment {folder.name}: see above.")
    for name, target in {
        "Scripts": "bin",
        "Lib": f"lib/python{version}",
    }.items():  # as Windows paths name them
        with contextlib.suppress(FileExistsError):
            (folder / name).symlink_to(target)


def check_room(folder: Path) -> None:
    """Raise `BuildFailed` where something else than a virtual environment is in the place of one."""
    if os.path.lexists(folder) and not any(os.path.lexists(folder / name) for name in _ENVIRONMENT_FILES):
        raise BuildFailed(
            f"HOMEPORT_VIRTUAL_ENVIRONMENT names '{folder.name}', which is in the content and no virtual environment: "
            "choose another name."
        )


def name_final_place(folder: Path, place: Path) -> None:
    """Let the programs that were installed into `folder` start the Python in `place`, which it becomes."""
    if folder == place:
        return
    written, meant = os.fsencode(folder), os.fsencode(place)
    for program in (folder / "bin").iterdir():
        if program.is_symlink() or not program.is_file() or program.stat().st_size > _MOST_PROGRAM_BYTES:
            continue
        text = program.read_bytes()
        if written in text:
            aside = program.with_name(f".{program.name}.new")
            aside.write_bytes(text.replace(written, meant))
            shutil.copymode(program, aside)
            aside.replace(program)


def _command(run: BuildRun, name: str, target: Path) -> None:
    """Run the command that a setting names, if there is one (§12.8)."""
    if line := run.environment.get(name):
        run.log.child(f"{name}: {line}")
        run_script(
            line,
            directory=target,
            environment=run.environment,
            layout=run.options.layout,
            log=run.log,
            idle_seconds=run.idle_seconds,
            checkpoint=run.checkpoint,
        )


def _required(run: BuildRun, target: Path) -> Required:
    custom = run.environment.get("CUSTOM_REQUIREMENTSTXT_PATH", "").replace("\\", "/")
    name = custom or next(name for name in SOURCES if (target / name).is_file())
    try:
        text = (target / name).read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise BuildFailed(f"'{name}' cannot be read: {error.strerror or error}.") from error
    if name == "uv.lock":
        return Required(source=name, lines=tuple(_exported(run, target)))
    return read_required(name, text)


def _exported(run: BuildRun, target: Path) -> list[str]:
    """Have uv write its own lock file as lines."""
    uv = _find_uv(run)
    if uv is None:
        raise BuildFailed("uv.lock cannot be read: there is no uv on this machine.")
    place = run.options.staging / "uv-export.txt"
    line = [uv, "export", "--frozen", "--no-dev", "--no-emit-project", "--quiet", "--color", "never"]
    if run.program([*line, "--output-file", str(place)], directory=target) != 0:
        raise BuildFailed("uv could not read uv.lock.")
    lines = place.read_text().splitlines()
    place.unlink()
    return lines


def _stamp(python: SitePython, required: Required) -> list[str]:
    """Return what tells that nothing needs to be installed; nothing where only an installer can tell."""
    if not is_self_contained(required):
        return []
    lines = hashlib.sha256("\n".join(required.lines).encode("utf-8", "surrogateescape")).hexdigest()
    return [lines, ".".join(map(str, python.version)), *sorted(_distributions(python))]


def _distributions(python: SitePython) -> set[str]:
    folders = python.folder.glob("lib/python3*/site-packages")
    return {name for folder in folders for name in distributions(folder)}


def _install(run: BuildRun, python: SitePython, required: Required, target: Path, *, place: Path) -> None:
    """Install into a Python that will be at `place`."""
    shown = required.source
    lines = target / shown
    if shown in SOURCES[1:]:
        lines = run.options.staging / "requirements.txt"
        lines.write_text("".join(f"{line}\n" for line in required.lines))
    if uv := _usable_uv(run, python):
        run.log.child(f"Installing {shown} with uv into {python}.")
        line = [uv, "pip", "install", "--python", str(python.program), "--no-progress", "--color", "never"]
        if run.program([*line, "-r", str(lines)], directory=target, kind=_uv_kind) == 0:
            _compile(run, python, place)
            return
        # uv is stricter in places (one index per package, old version texts): pip has the last word.
        run.log.child("uv could not install them; trying pip.", Kind.WARNING)
    else:
        run.log.child(f"Installing {shown} with pip into {python}.")
    line = [str(python.program), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    code = run.program([*line, "-r", str(lines)], directory=target)
    if code != 0:
        raise BuildFailed(f"pip could not install {shown}: it ended with exit code {code}.")


def _compile(run: BuildRun, python: SitePython, place: Path) -> None:
    """Give the packages in a Python, which will be at `place`, their compiled code; pip does that by itself."""
    program, store = installed_bytecode.__file__, run.options.home / ".cache/homeport/bytecode"
    for packages in python.folder.glob("lib/python3*/site-packages"):
        final = place / packages.relative_to(python.folder)
        line = [str(python.program), "-I", "-S", "-B", program, str(packages), str(final), str(store)]
        if (code := run.program(line, directory=run.options.home)) != 0:
            raise BuildFailed(f"The installed packages could not be compiled: exit code {code}, see above.")


def _uv_kind(line: str) -> Kind:
    """Tell how much a line of uv matters: it writes everything to standard error."""
    return Kind.WARNING if line.lower().startswith(("warning", "error", "  ×", "  ╰")) else Kind.MESSAGE


def _usable_uv(run: BuildRun, python: SitePython) -> str | None:
    """Return uv where it gives what pip would: a Python it knows, and no pip settings that it does not read."""
    environment = run.environment
    if python.version < _UV_OLDEST or run.environment.get("HOMEPORT_BUILD_INSTALLER", "").lower() == "pip":
        return None
    foreign = [name for name in environment if name.startswith("PIP_") and name not in _UNDERSTOOD]
    if foreign or any(_has_settings(run.options.home / name) for name in _PIP_FILES):
        return None
    return _find_uv(run)


def _find_uv(run: BuildRun) -> str | None:
    beside = Path(sys.executable).with_name("uv")
    found = shutil.which("uv", path=run.environment.get("PATH", os.defpath))
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
        (target / "web.config").unlink(missing_ok=True)
        shutil.copyfile(source, target / "web.config")


def _collect_static(run: BuildRun, python: SitePython, target: Path) -> None:
    if not (target / "manage.py").is_file() or (target / ".skipDjango").exists():
        return
    if run.environment.get("DISABLE_COLLECTSTATIC", "").lower() in {"1", "true"}:
        run.log.child("DISABLE_COLLECTSTATIC is set: static files are not collected.")
        return
    has_django = "import importlib.util as u, sys; sys.exit(u.find_spec('django') is None)"
    if run.program([str(python.program), "-c", has_django], directory=target) != 0:
        return
    run.log.child(
        "Collecting Django static files. You can skip Django specific steps with a .skipDjango file."
    )
    (target / "static").mkdir(exist_ok=True)
    line = [str(python.program), "manage.py", "collectstatic", "--noinput", "--clear"]
    with _kept_web_configs(run, target):
        if run.program(line, directory=target) != 0:
            run.log.child("collectstatic failed; the deployment goes on without it.", Kind.WARNING)


@contextlib.contextmanager
def _kept_web_configs(run: BuildRun, target: Path) -> Iterator[None]:
    """Put back what `--clear` deletes: without static/web.config the handler of the root takes static files, too."""
    places = {*target.glob("*/web.config"), *(target / "static").rglob("web.config")}
    kept = {place: place.read_bytes() for place in places if place.is_file()}
    yield
    for place, content in kept.items():
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
            run.log.child(f"Kept file: '{place.relative_to(target)}'")
