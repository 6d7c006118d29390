"""What is kept of a deployment so that it can be carried out again: its package, its request, its packages.

`data/.homeport/deployments/<id>` holds `package.zip`, `request.json` and, in `runtimes`, the Pythons as its build left
them. It goes with the record.
"""

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.deployments.trees import remove_tree, share_tree

_MOST_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptRequest:
    """What was asked for: `target` and `artifact` as in `PushRequest`, `target` relative to home."""

    target: str | None = None
    artifact: str | None = None
    clean: bool = False
    carries: bool = False
    restart: bool = True
    commit: str | None = None
    builds: bool = False


class KeptDeployments:
    """Keeps and finds what the records of one site were made of."""

    def __init__(self, home: Path, store: DeploymentStore) -> None:
        self._home = home
        self._store = store

    def keep(self, identity: str, package: Path, request: KeptRequest) -> None:
        """Keep a stored package, which is moved away; a commit has none."""
        folder = self._store.kept(identity)
        folder.mkdir(parents=True, exist_ok=True)
        value = {name: getattr(request, name) for name in KeptRequest.__dataclass_fields__}
        (folder / "request.json").write_text(json.dumps(value))
        place = folder / "package.zip"
        if request.commit is None:
            package.replace(place)

    def package(self, identity: str) -> Path | None:
        """Return the kept package, None where there is none."""
        place = self._store.kept(identity) / "package.zip"
        return place if place.is_file() and not place.is_symlink() else None

    def request(self, identity: str) -> KeptRequest:
        """Return what was asked for; an unreadable note is a plain deployment."""
        path = self._store.kept(identity) / "request.json"
        try:
            if path.stat().st_size > _MOST_BYTES:
                return KeptRequest()
            value = json.loads(path.read_bytes())
            return KeptRequest(
                target=_text(value.get("target")),
                artifact=_text(value.get("artifact")),
                clean=value.get("clean") is True,
                carries=value.get("carries") is True,
                restart=value.get("restart") is not False,
                commit=_text(value.get("commit")),
                builds=value.get("builds") is True,
            )
        except (OSError, ValueError, AttributeError):
            return KeptRequest()

    def forget_package(self, identity: str) -> None:
        """Give the package's space back: the disk is full."""
        with contextlib.suppress(OSError):
            (self._store.kept(identity) / "package.zip").unlink(missing_ok=True)

    def keep_runtime(
        self, identity: str, runtime: Path, *, name: str, checkpoint: Callable[[], None]
    ) -> None:
        """Keep a runtime with all its packages, as shared files; `name` is its folder's below home."""
        _keep(runtime, self._store.kept(identity) / "runtimes" / name, checkpoint)

    def keep_environment(
        self, identity: str, folder: Path, *, name: str, checkpoint: Callable[[], None]
    ) -> None:
        """Keep a virtual environment of the content, as shared files; `name` is its path there."""
        _keep(folder, self._store.kept(identity) / "environments" / name, checkpoint)

    def environments(self, identity: str) -> Sequence[tuple[Path, str]]:
        """Return the kept virtual environments whose Python is still there: where each was kept, and its path."""
        root = self._store.kept(identity) / "environments"
        found = [path.parent for path in root.glob("*/pyvenv.cfg") if (path.parent / "bin/python").exists()]
        return [(path, path.relative_to(root).as_posix()) for path in found]

    def runtimes(self, identity: str) -> Sequence[tuple[Path, Path]]:
        """Return the kept runtimes that still fit the site: where each was kept, and where it belongs.

        One whose place has another interpreter by now is left out: its packages were made for the old one.
        """
        found = []
        with contextlib.suppress(OSError):
            for kept in sorted((self._store.kept(identity) / "runtimes").iterdir()):
                live = self._home / kept.name
                with contextlib.suppress(OSError):
                    if (kept / "bin/python").readlink() == (live / "bin/python").readlink():
                        found.append((kept, live))
        return found


def _keep(folder: Path, place: Path, checkpoint: Callable[[], None]) -> None:
    remove_tree(place)
    share_tree(folder, place, checkpoint=checkpoint)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
