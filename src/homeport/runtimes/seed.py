"""Preparing a Python once per machine, so that installing it into a site is only a copy.

<runtimes>/<build>/template    the runtime folder of a site, ready to be copied
<runtimes>/<build>/worker      the platform's worker, compiled for this interpreter
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from homeport.model.errors import NotFound
from homeport.runtimes.gallery import BuildState, Gallery, GalleryEntry
from homeport.runtimes.published import one_builder, publish
from homeport.runtimes.template import build_template, template_stamp
from homeport.runtimes.worker_library import build_worker_library, worker_stamp

Progress = Callable[[str, float], None]
"""Takes what is being done and how much of the whole is done, from 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A prepared Python: the folders to copy into a site and to show to its workers, both readable by every user."""

    entry: GalleryEntry
    template: Path
    worker: Path


def prepare_seed(runtimes: Path, entry: GalleryEntry, *, progress: Progress | None = None) -> Seed:
    """Prepare an installed Python below `runtimes`, or return at once when that is done already.

    Blocks for a second or two, and while another preparation of the same build runs. Raises `Unavailable` when
    pip can be had nowhere.
    """
    report = progress or _silent
    folder = runtimes / entry.build
    with one_builder(folder):
        template = publish(
            folder,
            "template",
            stamp=template_stamp(entry),
            build=lambda aside: build_template(entry, aside, progress=report),
        )
        worker = _publish_worker(folder, entry)
    report(f"Python {entry.version} is prepared", 1.0)
    return Seed(entry=entry, template=template, worker=worker)


def refresh_workers(runtimes: Path, gallery: Gallery) -> None:
    """Bring the worker of every prepared Python to the platform's present one; call it before workers start.

    A prepared Python that has left the machine stays as it is.
    """
    for link in sorted(runtimes.glob("cpython-*/worker")):
        try:
            entry = gallery.installed(link.parent.name)
        except NotFound:
            continue
        with one_builder(link.parent):
            _publish_worker(link.parent, entry)


def prepare_all(runtimes: Path, gallery: Gallery, *, progress: Progress | None = None) -> None:
    """Prepare every Python of the machine, the recommended one first; for an idle moment after the start."""
    here = [entry for entry in gallery.entries() if entry.state is BuildState.INSTALLED]
    for entry in sorted(here, key=lambda entry: not entry.recommended):
        prepare_seed(runtimes, entry, progress=progress)


def _publish_worker(folder: Path, entry: GalleryEntry) -> Path:
    return publish(
        folder,
        "worker",
        stamp=worker_stamp(entry),
        build=lambda aside: build_worker_library(entry, aside),
    )


def _silent(_text: str, _fraction: float) -> None:
    pass
