"""What a build writes into the Python that it installed into: `.homeport-build.json`."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from homeport.scm.atomic_file import read_small
from homeport.scm.content import folder_names

_NAME = ".homeport-build.json"
_MOST_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildNote:
    """What is known of the builds in a Python.

    `stamp` tells that nothing needs to be installed (empty: only an installer can tell). `brought` names what builds
    installed, by the folders of its metadata.
    """

    stamp: Sequence[str] = ()
    brought: Sequence[str] = ()


def read_build_note(python: Path) -> BuildNote:
    """Read the note in a Python's folder; one that is missing or damaged says nothing."""
    try:
        note = json.loads(read_small(python / _NAME, limit=_MOST_BYTES) or b"{}")
        return BuildNote(stamp=_texts(note.get("stamp")), brought=_texts(note.get("brought")))
    except (ValueError, AttributeError, RecursionError):
        return BuildNote()


def write_build_note(python: Path, note: BuildNote) -> None:
    """Replace the note in a Python's folder, which may be shared with another tree. Raises `OSError`."""
    aside = python / f"{_NAME}.new"
    aside.write_text(json.dumps(asdict(note)))
    aside.replace(python / _NAME)


def distributions(packages: Path) -> list[str]:
    """Return the folders of a site-packages folder that hold metadata (`NAME-VERSION.dist-info`), sorted."""
    return sorted(name for name in folder_names(packages) or () if name.endswith((".dist-info", ".egg-info")))


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
