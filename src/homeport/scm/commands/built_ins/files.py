"""`type`, `more`, `copy`, `move`, `del`, `ren`."""

import shutil
from collections.abc import Iterator
from pathlib import Path

from homeport.scm.commands.console import CommandFailure, Console
from homeport.scm.commands.filesystem import part_from_links
from homeport.scm.commands.handles import Streams
from homeport.windows.cmd.words import split_operands
from homeport.windows.wildcards import has_wildcards

_NO_FILE = "The system cannot find the file specified."
_CHUNK = 64 * 1024


def type_files(console: Console, tail: str, streams: Streams) -> int:
    """`type`: print files; of several, each name goes to the error stream."""
    operands = split_operands(tail, switches="(?!)")
    if not operands.words:
        raise CommandFailure("The syntax of the command is incorrect.")
    several = len(operands.words) > 1 or has_wildcards(operands.words[0])
    for word in operands.words:
        for path in _existing_files(console, word):
            if several:
                streams.error(f"\n{path.name}\n")
            print_file(path, streams)
    return 0


def more(console: Console, tail: str, streams: Streams) -> int:
    """`more`: print files, or the input; there is no screen to stop at."""
    operands = split_operands(tail, switches=r"[ecps]|t\d+")
    for word in operands.words:
        for path in _existing_files(console, word):
            print_file(path, streams)
    if not operands.words:
        for chunk in streams.chunks():
            streams.write_bytes(chunk)
    return 0


def copy(console: Console, tail: str, streams: Streams) -> int:
    """`copy`: copy files to a file or a folder; `a+b c` joins. An existing target is overwritten, as by a script."""
    operands = split_operands(tail.replace("+", " + "), switches=r"[abdnvyzl]|-y")
    joined = "+" in operands.words
    words = [word for word in operands.words if word != "+"]
    if not words:
        raise CommandFailure("The syntax of the command is incorrect.")
    target = console.locate(words[-1] if len(words) > 1 else ".")
    sources = [path for word in (words[:-1] or words) for path in _sources(console, word)]
    if joined and not target.is_dir():
        _join(sources, target)
        streams.line("        1 file(s) copied.")
        return 0
    if len(words) > 2 and not joined:
        raise CommandFailure("The syntax of the command is incorrect.")
    for source in sources:
        streams.check()
        if len(sources) > 1 or has_wildcards(words[0]):
            streams.line(source.name)
        place = target / source.name if target.is_dir() else target
        if place.exists() and place.samefile(source):
            raise CommandFailure("The file cannot be copied onto itself.\n        0 file(s) copied.")
        part_from_links(place)
        shutil.copy2(source, place)
    streams.line(f"        {len(sources)} file(s) copied.")
    return 0


def move(console: Console, tail: str, streams: Streams) -> int:
    """`move`: move files into a folder, or rename one file or folder."""
    operands = split_operands(tail, switches=r"y|-y")
    if len(operands.words) != 2:
        raise CommandFailure("The syntax of the command is incorrect.")
    target = console.locate(operands.words[1])
    sources = [path for path in console.matches(operands.words[0]) if path.exists()]
    if not sources:
        raise CommandFailure(_NO_FILE)
    if len(sources) > 1 and not target.is_dir():
        raise CommandFailure("Cannot move multiple files to a single file.")
    for source in sources:
        streams.check()
        place = target / source.name if target.is_dir() else target
        if place.is_file() and source.is_file():
            place.unlink()
        shutil.move(source, place)
    kind = (
        "dir"
        if len(sources) == 1 and not has_wildcards(operands.words[0]) and _is_folder(sources[0], target)
        else "file"
    )
    streams.line(f"        {len(sources)} {kind}(s) moved.")
    return 0


def delete(console: Console, tail: str, streams: Streams) -> int:
    """`del`: delete files; a folder means the files in it, `/s` those below too. Folders stay.

    cmd asks before it empties a whole folder unless `/q` is given; nobody answers here, so nothing is deleted.
    """
    operands = split_operands(tail, switches=r"[pfsq]|a:?[-rhsila]*")
    if not operands.words:
        raise CommandFailure("The syntax of the command is incorrect.")
    for word in operands.words:
        asks = word.replace("/", "\\").rsplit("\\", 1)[-1] in {"*", "*.*"} or console.locate(word).is_dir()
        if asks and not operands.has("/q"):
            streams.line(f"{word}, Are you sure (Y/N)? ")
            raise CommandFailure("Nobody can answer here: add /q to delete every file of the folder.")
        found = list(_deletable(console, word, deep=operands.has("/s")))
        if not found:
            streams.error(f"Could Not Find {console.show(str(console.locate(word)))}")
        for path in found:
            streams.check()
            path.unlink()
    return 0


def rename(console: Console, tail: str, _streams: Streams) -> int:
    """`ren`: give a file or folder another name in its folder; `*.a *.b` changes extensions."""
    operands = split_operands(tail, switches="(?!)")
    if len(operands.words) != 2 or "\\" in operands.words[1] or "/" in operands.words[1]:
        raise CommandFailure("The syntax of the command is incorrect.")
    pattern, target = operands.words
    sources = [path for path in console.matches(pattern) if path.exists()]
    if not sources:
        raise CommandFailure(_NO_FILE)
    for source in sources:
        name = target.replace("*", source.stem, 1) if target.startswith("*.") else target
        if has_wildcards(name):
            raise CommandFailure("The syntax of the command is incorrect.")
        place = source.with_name(name)
        if place.exists() and not (place.samefile(source) and place.name != source.name):
            raise CommandFailure("A duplicate file name exists, or the file\ncannot be found.")
        source.rename(place)
    return 0


def print_file(path: Path, streams: Streams) -> None:
    """Write the bytes of a file to the output."""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            streams.write_bytes(chunk)


def _existing_files(console: Console, word: str) -> list[Path]:
    found = console.matches(word)
    if len(found) == 1 and found[0].is_dir():
        raise CommandFailure("Access is denied.")
    files = [path for path in found if path.is_file()]
    if not files:
        raise CommandFailure(_NO_FILE)
    return files


def _sources(console: Console, word: str) -> list[Path]:
    """Give the files of one source of `copy`: a folder means the files in it."""
    found = console.matches(word)
    if len(found) == 1 and found[0].is_dir():
        found = sorted(found[0].iterdir())
    files = [path for path in found if path.is_file()]
    if not files:
        raise CommandFailure(_NO_FILE)
    return files


def _join(sources: list[Path], target: Path) -> None:
    data = b"".join(source.read_bytes() for source in sources)
    target.write_bytes(data)


def _is_folder(source: Path, target: Path) -> bool:
    place = target / source.name
    return place.is_dir() if place.exists() else target.is_dir()


def _deletable(console: Console, word: str, *, deep: bool) -> Iterator[Path]:
    path = None if has_wildcards(word) else console.locate(word)
    if path is not None and path.is_dir():
        word = f"{word}\\*"
    yield from (found for found in console.matches(word) if found.is_symlink() or found.is_file())
    if not deep:
        return
    cut = max(word.rfind("\\"), word.rfind("/")) + 1
    folder = console.locate(word[:cut] or ".")
    for below in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if below.is_dir() and not below.is_symlink():
            place = f"{below}/{word[cut:]}"
            yield from (found for found in console.matches(place) if found.is_symlink() or found.is_file())
