"""The gallery: every Python that can be had on this machine, under the ids of App Service's extensions."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from homeport.model.errors import Invalid, NotFound, Unavailable
from homeport.runtimes.downloads import Downloads
from homeport.runtimes.ids import ExtensionId, format_extension_id, parse_extension_id
from homeport.runtimes.interpreters import InterpreterSearch, SearchPlace, machine_places

_NEWEST_RECOMMENDED = (3, 13)
"""The newest minor version that is recommended: one for which the usual packages have had time to bring wheels."""


class BuildState(StrEnum):
    """Whether a Python is here or would have to be downloaded first."""

    INSTALLED = "installed"
    DOWNLOADABLE = "downloadable"


class Policy(StrEnum):
    """What may stand in for a version that is not here: nothing, or another one of the same minor."""

    EXACT = "exact"
    SAME_MINOR = "same-minor"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryEntry:
    """One Python: `build` is its name here (`cpython-3.11.7`), `id` the extension's.

    `base` (its prefix) and `executable` are empty until it is installed. `source` is pyenv, uv, local, system or
    download.
    """

    id: str
    version: str
    build: str
    state: BuildState
    source: str
    recommended: bool = False
    base: str = ""
    executable: str = ""

    @property
    def numbers(self) -> tuple[int, int, int]:
        """The version as numbers."""
        major, minor, micro = map(int, self.version.split("."))
        return major, minor, micro


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a requested id means here: the Python that serves it, the folder, and a note when it is not the same."""

    requested: ExtensionId
    entry: GalleryEntry
    note: str = ""

    @property
    def folder(self) -> str:
        """The folder below /home."""
        return self.requested.folder

    @property
    def requested_version(self) -> str:
        """The version that the id names, as far as it names one."""
        return ".".join(map(str, self.requested.version))


class Gallery:
    """Merges the interpreters of the machine and those that can be downloaded.

    `runtimes` is the platform's folder for Pythons; downloads go to its `downloads`. Everything here blocks for
    fractions of a second (`download` for longer): call it from a thread.
    """

    def __init__(self, runtimes: Path, *, places: Iterable[SearchPlace] | None = None) -> None:
        self._downloads = Downloads(runtimes / "downloads")
        found = machine_places() if places is None else tuple(places)
        self._search = InterpreterSearch((*found, self._downloads.place))

    def entries(self) -> tuple[GalleryEntry, ...]:
        """Return every Python, newest first; one is recommended when there is any."""
        entries = sorted(self._merged(every_version=False), key=lambda entry: entry.numbers, reverse=True)
        best = _recommended(entries)
        return tuple(replace(entry, recommended=entry == best) for entry in entries)

    def resolve(self, text: str, *, policy: str = Policy.SAME_MINOR) -> Resolution:
        """Say which Python serves the extension `text`.

        What is installed is preferred to a download. Raises `Invalid`, `Unsupported` (too old) or `NotFound`.
        """
        requested = parse_extension_id(text)
        candidates = [
            entry
            for entry in self._merged(every_version=True)
            if _serves(entry, requested, policy=_policy(policy))
        ]
        if not candidates:
            raise self._nothing_for(requested)
        entry = max(candidates, key=lambda entry: _preference(entry, requested))
        return Resolution(requested=requested, entry=entry, note=_note(requested, entry))

    def installed(self, build: str) -> GalleryEntry:
        """Return a Python that is on the machine by its build's name. Raises `NotFound`."""
        for entry in self._on_machine():
            if entry.build == build:
                return entry
        raise NotFound(f"'{build}' is no longer on this machine.", code="BuildNotFound")

    def download(self, entry: GalleryEntry, *, progress: Callable[[str, float], None]) -> GalleryEntry:
        """Return `entry` as installed, downloading it if need be. Raises `Unavailable`."""
        if entry.state is BuildState.INSTALLED:
            return entry
        self._downloads.install(entry.numbers, progress=progress)
        try:
            return self.installed(entry.build)
        except NotFound as error:
            raise Unavailable(f"{entry.build} was downloaded but does not run on this machine.") from error

    def _on_machine(self) -> list[GalleryEntry]:
        return [
            _entry(
                found.version,
                state=BuildState.INSTALLED,
                source=found.source,
                base=str(found.base),
                executable=str(found.executable),
            )
            for found in self._search.find()
        ]

    def _merged(self, *, every_version: bool) -> list[GalleryEntry]:
        here = self._on_machine()
        builds = {entry.build for entry in here}
        there = (
            _entry(version, state=BuildState.DOWNLOADABLE, source="download")
            for version in self._downloads.available(every_version=every_version)
        )
        return here + [entry for entry in there if entry.build not in builds]

    def _nothing_for(self, requested: ExtensionId) -> NotFound:
        has = ", ".join(
            entry.id for entry in sorted(self._on_machine(), key=lambda e: e.numbers, reverse=True)
        )
        return NotFound(
            f"No Python here serves '{requested.text}'; this machine has {has or 'none'}.",
            code="RuntimeNotFound",
        )


def _entry(
    version: tuple[int, int, int], *, state: BuildState, source: str, base: str = "", executable: str = ""
) -> GalleryEntry:
    text = ".".join(map(str, version))
    return GalleryEntry(
        id=format_extension_id(version),
        version=text,
        build=f"cpython-{text}",
        state=state,
        source=source,
        base=base,
        executable=executable,
    )


def _policy(text: str) -> Policy:
    try:
        return Policy(text)
    except ValueError:
        raise Invalid(f"'{text}' is not a policy: use {' or '.join(Policy)}.", code="InvalidPolicy") from None


def _serves(entry: GalleryEntry, requested: ExtensionId, *, policy: Policy) -> bool:
    count = len(requested.version) if policy is Policy.EXACT else 2
    return entry.numbers[:count] == requested.version[:count]


def _preference(entry: GalleryEntry, requested: ExtensionId) -> tuple[bool, bool, int]:
    return entry.state is BuildState.INSTALLED, entry.numbers == requested.version, entry.numbers[2]


def _recommended(entries: list[GalleryEntry]) -> GalleryEntry | None:
    """The newest that is here and not too new for the usual packages; else the newest such that can be had."""
    settled = [entry for entry in entries if entry.numbers[:2] <= _NEWEST_RECOMMENDED] or entries
    return next(
        (entry for entry in settled if entry.state is BuildState.INSTALLED), next(iter(settled), None)
    )


def _note(requested: ExtensionId, entry: GalleryEntry) -> str:
    parts = []
    asked = ".".join(map(str, requested.version))
    if requested.version != entry.numbers:
        missing = f": {asked} is not on this machine" if len(requested.version) == 3 else ""
        parts.append(f"{requested.text} is served by Python {entry.version}{missing}.")
    if requested.bits == 32:
        parts.append(f"{requested.text} asks for 32 bits; Python {entry.version} has 64.")
    return " ".join(parts)
