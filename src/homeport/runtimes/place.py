"""`python -m homeport.runtimes.place`: puts a prepared Python into a site, or takes it out.

The agent runs it in the site's sandbox as the site's user: what the site may have laid as a trap there (links,
devices) can hurt only the site itself. Every event is one line of JSON on standard output: `{"progress", "fraction"}`
as often as there is something to say, and at the end `{"result"}` or `{"error": {"code", "message"}}`.
"""

import argparse
import contextlib
import errno
import fcntl
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from homeport.model.errors import Conflict, HomeportError, Invalid, NotFound, Unavailable
from homeport.runtimes.ids import parse_extension_id
from homeport.runtimes.template import FILLED_IN, PLACEHOLDER

Progress = Callable[[str, float], None]
_REPORT_EVERY = 200
_RECORD = "homeport.json"
_ASIDE = ".aside-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What to place: `seed` is a prepared template, `target` the folder below /home it becomes.

    `id` is the extension's id as it was asked for, `version` and `build` what really serves it, `note` what a
    person should know about that.
    """

    seed: Path
    target: Path
    id: str
    version: str
    build: str
    base: str
    note: str = ""


def place_program(placement: Placement, *, run: Sequence[str]) -> tuple[str, ...]:
    """Return the command that places, for a sandbox in which `seed` and `target` are at these paths.

    `run` is the command that runs this module.
    """
    named = {name: str(value) for name, value in asdict(placement).items()}
    options = (part for name, value in named.items() for part in (f"--{name}", value))
    return (*run, "install", *options)


def removal_program(target: Path, extension_id: str, *, run: Sequence[str]) -> tuple[str, ...]:
    """Return the command that removes the runtime in `target` and its record."""
    return (*run, "remove", "--target", str(target), "--id", extension_id)


def place(placement: Placement, *, progress: Progress) -> None:
    """Install the Python, or renew it and keep the site's packages when its minor version stays the same.

    Raises `Conflict` when the folder holds something else or another installation runs, `Unavailable` when the
    disk is full.
    """
    home, target = placement.target.parent, placement.target
    with _one_installation(home, placement.id):
        _clear_leftovers(target)
        try:
            if _minor(target) == _minor(placement.seed):
                _renew(placement, progress)
            else:
                _copy(placement, progress)
            _write_record(home, placement)
        except OSError as error:
            _clear_leftovers(target)
            raise Unavailable(f"'{target.name}' could not be written: {error.strerror or error}.") from error
    progress(f"Python {placement.version} is in {target}", 1.0)


def remove(target: Path, extension_id: str, *, progress: Progress) -> None:
    """Delete the runtime, the packages that were installed into it, and its record.

    Raises `Conflict`, and `NotFound` where the runtime itself is gone already (deleted by hand, or by a removal that
    was killed); its record goes all the same.
    """
    home = target.parent
    with _one_installation(home, extension_id):
        _clear_leftovers(target)
        is_there = _minor(target) is not None
        if is_there:
            progress(f"Removing {target.name} and the packages installed into it", 0.0)
            aside = _aside(target)
            target.rename(aside / "old")
            shutil.rmtree(aside)
        if is_there or (home / "SiteExtensions" / extension_id / _RECORD).is_file():
            for folder in ("SiteExtensions", "site/siteextensions"):
                shutil.rmtree(home / folder / extension_id, ignore_errors=True)
        if not is_there:
            raise NotFound(f"There is no Python in '{target.name}'.", code="RuntimeNotFound")
    progress(f"{target.name} is removed, with the packages that were installed into it", 1.0)


def recover(home: Path) -> None:
    """Undo the installations and finish the removals that were killed in a home; those that run are left alone."""
    for aside in home.glob(f".*{_ASIDE}*"):
        name = aside.name[1:].rpartition(_ASIDE)[0]
        with contextlib.suppress(HomeportError, OSError), contextlib.ExitStack() as locks:
            folder = parse_extension_id(name).folder
            for lock in home.glob("site/siteextensions/*/install.lock"):
                if _folder_of(lock.parent.name) == folder:
                    locks.enter_context(_one_installation(home, lock.parent.name))
            _clear_leftovers(home / name)


def _folder_of(extension_id: str) -> str | None:
    with contextlib.suppress(HomeportError):
        return parse_extension_id(extension_id).folder
    return None


def _minor(folder: Path) -> tuple[str, ...] | None:
    """The minor version of a runtime folder as its pyvenv.cfg tells; None without one. Raises `Conflict`."""
    if not folder.exists() and not folder.is_symlink():
        return None
    try:
        lines = (folder / "pyvenv.cfg").read_text(errors="replace").splitlines()
    except OSError as error:
        raise Conflict(
            f"'{folder.name}' exists and holds no Python of the platform; rename or delete it, then try again.",
            code="FolderInTheWay",
        ) from error
    values = dict(line.replace(" ", "").partition("=")[::2] for line in lines)
    return tuple(values.get("version", "").split(".")[:2])


def _copy(placement: Placement, progress: Progress) -> None:
    """Copy aside and rename into place: whoever looks finds the whole folder or none."""
    target = placement.target
    aside = _aside(target)
    total = max(1, sum(len(files) for _, _, files in os.walk(placement.seed)))
    copied = 0

    def copy(source: str, destination: str) -> str:
        nonlocal copied
        copied += 1
        if copied % _REPORT_EVERY == 1:
            progress(f"Copying Python {placement.version}", copied / total)
        return shutil.copy2(source, destination)

    shutil.copytree(placement.seed, aside / "new", symlinks=True, copy_function=copy)
    for path in _filled_in(aside / "new"):
        _fill_in(path, path, target)
    if target.exists():
        target.rename(aside / "old")
    (aside / "new").rename(target)
    shutil.rmtree(aside)


def _renew(placement: Placement, progress: Progress) -> None:
    """Point an existing runtime at another build of the same minor version; packages stay as they are."""
    seed, target = placement.seed, placement.target
    progress(f"Renewing {target.name}, keeping its packages", 0.1)
    for path in _filled_in(seed):
        mine = target / path.relative_to(seed)
        mine.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            _link_over(mine, path.readlink())
        elif path.parent == seed or not mine.exists():  # the site may have a newer pip, whose program stays
            _fill_in(path, mine, target)
    for path in (path for path in seed.iterdir() if path.name not in FILLED_IN and path.name != "lib"):
        if path.is_symlink():
            _link_over(target / path.name, path.readlink())
        else:
            _write_over(target / path.name, path.read_bytes(), mode=0o644)
    _restore_packages(seed, target)


def _restore_packages(seed: Path, target: Path) -> None:
    """Give back what the runtime came with, where the site has deleted it."""
    for packages in seed.glob("lib/python3.*/site-packages"):
        mine = target / packages.relative_to(seed)
        mine.mkdir(parents=True, exist_ok=True)
        if (mine / "pip").is_dir():
            continue
        for path in packages.iterdir():
            if path.name.startswith("pip") and not (mine / path.name).exists():
                shutil.copytree(path, mine / path.name, symlinks=True)


def _filled_in(folder: Path) -> Iterator[Path]:
    for name in FILLED_IN:
        path = folder / name
        yield from path.iterdir() if path.is_dir() else (path,)


def _fill_in(source: Path, destination: Path, target: Path) -> None:
    if source.is_symlink():
        return
    content = source.read_bytes().replace(PLACEHOLDER.encode(), os.fsencode(target))
    _write_over(destination, content, mode=0o755)


def _write_over(path: Path, content: bytes, *, mode: int) -> None:
    """Replace a file in one step; a link in its place is replaced, not followed."""
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.write_bytes(content)
    aside.chmod(mode)
    aside.rename(path)


def _link_over(path: Path, destination: Path) -> None:
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.symlink_to(destination)
    aside.rename(path)


def _aside(target: Path) -> Path:
    return Path(tempfile.mkdtemp(prefix=f".{target.name}{_ASIDE}", dir=target.parent))


def _clear_leftovers(target: Path) -> None:
    """Delete what an installation left that was killed; bring back the folder that it had moved away."""
    for aside in target.parent.glob(f".{target.name}{_ASIDE}*"):
        if (aside / "new").is_dir() and (aside / "old").is_dir() and not target.exists():
            (aside / "old").rename(target)
        shutil.rmtree(aside, ignore_errors=True)


@contextlib.contextmanager
def _one_installation(home: Path, extension_id: str) -> Iterator[None]:
    """Hold the lock that Kudu has for one extension (Kudu reference §7.4, 2). Raises `Conflict`."""
    folder = home / "site/siteextensions" / extension_id
    folder.mkdir(parents=True, exist_ok=True)
    with _open_lock(folder / "install.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"'{extension_id}' is being installed already; wait until that is done.",
                code="InstallRunning",
            ) from error
        yield


@contextlib.contextmanager
def _open_lock(path: Path) -> Iterator[int]:
    """Open the lock without waiting: a FIFO or a link that the site put in its place is refused. Raises `Conflict`."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno not in (errno.ENXIO, errno.ELOOP, errno.EISDIR):
            raise
        raise _not_a_lock(path) from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_a_lock(path)
        yield descriptor
    finally:
        os.close(descriptor)


def _not_a_lock(path: Path) -> Conflict:
    return Conflict(f"'{path}' is not a regular file; delete it and try again.", code="NotARegularFile")


def _write_record(home: Path, placement: Placement) -> None:
    """Write what Kudu's API for extensions shows later (Kudu reference §7.2, §7.4 step 10)."""
    folder = home / "SiteExtensions" / placement.id
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    record = {
        "id": placement.id,
        "title": f"Python {placement.version}",
        "version": placement.version,
        "installed_date_time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "local_path": str(folder),
        "folder": placement.target.name,
        "build": placement.build,
        "base": placement.base,
        "note": placement.note,
    }
    settings = {
        "version": placement.version,
        "feed_url": None,
        "packageUri": None,
        "install_timestamp_utc": now.strftime("%Y-%m-%d %H:%M:%SZ"),
        "package_type": "Gallery",
        "installer_command_line_params": None,
    }
    for name, value in {_RECORD: record, "SiteExtensionSettings.json": settings}.items():
        _write_over(folder / name, json.dumps(value, indent=2).encode() + b"\n", mode=0o644)


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it was done, 1 when it was refused or failed (the last line says why)."""
    os.umask(0o022)
    options = _parser().parse_args(arguments)
    try:
        extension_id = parse_extension_id(options.id).text
        target: Path = options.target
        if target.parent == target or not target.is_absolute():
            raise Invalid(f"'{target}' is not a folder in a site's home.")
        if options.command == "remove":
            remove(target, extension_id, progress=_say_progress)
            _say({"result": {"folder": target.name, "id": extension_id}})
        else:
            fields = {
                name: getattr(options, name)
                for name in ("seed", "target", "version", "build", "base", "note")
            }
            place(Placement(id=extension_id, **fields), progress=_say_progress)
            _say({"result": {"folder": target.name, "id": extension_id, "version": options.version}})
    except HomeportError as error:
        _say({"error": {"code": error.code, "message": error.message}})
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="homeport.runtimes.place")
    commands = parser.add_subparsers(dest="command", required=True)
    install, removal = commands.add_parser("install"), commands.add_parser("remove")
    for command in (install, removal):
        command.add_argument("--target", type=Path, required=True)
        command.add_argument("--id", required=True)
    install.add_argument("--seed", type=Path, required=True)
    for name in ("--version", "--build", "--base"):
        install.add_argument(name, required=True)
    install.add_argument("--note", default="")
    return parser


def _say_progress(text: str, fraction: float) -> None:
    _say({"progress": text, "fraction": round(fraction, 3)})


def _say(value: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
