"""A pushed zip: checked as a whole before anything is written, then unpacked.

Kudu rewrites hostile names entry by entry (reference §3.1); here one hostile entry refuses the package, with a
message that names it. Unpacked sizes are bounded by what the checked directory declares.
"""

import calendar
import os
import re
import stat
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from homeport.model.errors import Invalid
from homeport.scm.settings.stack import Settings

_DRIVE = re.compile(r"[A-Za-z]:")
_COPY_BYTES = 1024 * 1024
_WHOLE_BYTES = 1024 * 1024
_LOCAL_SIGNATURE = b"PK\3\4"
_LOCAL_EXTRA = 128
_ENCRYPTED = 0x1 | 0x40
_UTF8 = 0x800
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
_LOCAL_HEADER = 30
_CENTRAL_HEADER = 46
_MOST_NAME = 4096
_FREE_BYTES = 100 * 1024 * 1024
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


class UnsafePackage(Invalid):
    """The package is refused as a whole; the message names the entry or the bound."""

    code = "UnsafePackage"


class BrokenPackage(Exception):
    """The file is no readable zip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a package may unpack to. The ratio counts only above 100 MiB: small packages compress as they like."""

    entries: int = 200_000
    bytes: int = 10 * 1024**3
    ratio: int = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One entry that is safe to write: its path below the target, with `/`."""

    info: zipfile.ZipInfo
    path: str
    is_folder: bool


def bounds_from(settings: Settings) -> Bounds:
    """Read the bounds from the site's settings."""
    standard = Bounds()
    return Bounds(
        entries=settings.number("HOMEPORT_ZIP_MAX_ENTRIES", default=standard.entries),
        bytes=settings.number("HOMEPORT_ZIP_MAX_MEGABYTES", default=standard.bytes // 1024**2) * 1024**2,
        ratio=settings.number("HOMEPORT_ZIP_MAX_RATIO", default=standard.ratio),
    )


def open_package(path: Path, bounds: Bounds) -> zipfile.ZipFile:
    """Open a zip whose directory is small enough to be read. Raises `BrokenPackage`, `UnsafePackage`."""
    with path.open("rb") as file:
        directory = _directory_bytes(file)
    most = bounds.entries * (_CENTRAL_HEADER + _MOST_NAME)
    if directory > min(most, 1024**3):
        raise UnsafePackage(f"The package's directory takes {directory} bytes: no more than {most} are read.")
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, struct.error, NotImplementedError) as error:
        raise BrokenPackage(f"The package is not a readable zip: {error}") from error


def check_members(package: zipfile.ZipFile, *, size: int, bounds: Bounds) -> list[Member]:
    """Check every entry of a package of `size` bytes and return what may be written; raises `UnsafePackage`."""
    infos = package.infolist()
    if len(infos) > bounds.entries:
        raise UnsafePackage(
            f"The package has {len(infos)} entries: at most {bounds.entries} are unpacked (HOMEPORT_ZIP_MAX_ENTRIES)."
        )
    members = [_member(info) for info in infos]
    _check_sizes(infos, size=size, bounds=bounds)
    _check_overlap(infos)
    return _check_names([member for member in members if member is not None])


def extract(
    package: zipfile.ZipFile,
    members: Sequence[Member],
    target: Path,
    *,
    keep_times: bool = True,
    checkpoint: Callable[[], None] = lambda: None,
) -> None:
    """Write the members below `target`, a new folder; raises `BrokenPackage` and `OSError`.

    `checkpoint` is called between pieces and may raise to stop.
    """
    target.mkdir(parents=True)
    now = time.time()
    folders = {""}
    stored = package.fp.fileno() if package.fp is not None else -1
    for member in members:
        checkpoint()
        parent = member.path if member.is_folder else member.path.rpartition("/")[0]
        if parent not in folders:
            (target / parent).mkdir(parents=True, exist_ok=True)
            folders.add(parent)
        if member.is_folder:
            continue
        modified = _modified(member.info) if keep_times else now
        try:
            whole = _read_whole(stored, member.info)
            pieces = [whole] if whole is not None else _pieces(package, member.info, checkpoint)
            _write(pieces, member.info, f"{target}/{member.path}", modified=modified)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            ValueError,
        ) as error:
            raise BrokenPackage(f"The entry '{member.path}' cannot be read: {error}") from error


def _write(pieces: Iterable[bytes], info: zipfile.ZipInfo, place: str, *, modified: float) -> None:
    executable = info.create_system == 3 and (info.external_attr >> 16) & 0o111
    descriptor = os.open(
        place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755 if executable else 0o644
    )
    try:
        for piece in pieces:
            data = piece
            while data:  # without file objects: there may be very many small files
                data = data[os.write(descriptor, data) :]
        os.utime(descriptor, (modified, modified))
    finally:
        os.close(descriptor)


def _pieces(
    package: zipfile.ZipFile, info: zipfile.ZipInfo, checkpoint: Callable[[], None]
) -> Iterator[bytes]:
    with package.open(info) as source:
        while data := source.read(_COPY_BYTES):
            yield data
            checkpoint()


def _read_whole(stored: int, info: zipfile.ZipInfo) -> bytes | None:
    """Read a small entry in one step: the zip module takes longer over one than making its file does.

    `stored` is the package's descriptor. None where anything is unusual or wrong: the zip module decides then.
    """
    if info.file_size > _WHOLE_BYTES or info.compress_size > _WHOLE_BYTES or info.header_offset < 0:
        return None
    name = info.orig_filename.encode("utf-8" if _is_utf8(info) else "cp437")  # the latter takes long
    start = _LOCAL_HEADER + len(name)
    header = os.pread(stored, start + _LOCAL_EXTRA + info.compress_size, info.header_offset)
    flags = int.from_bytes(header[6:8], "little")
    if (
        header[:4] != _LOCAL_SIGNATURE
        or int.from_bytes(header[26:28], "little") != len(name)
        or header[_LOCAL_HEADER:start] != name
        or (flags ^ info.flag_bits) & _UTF8
        or flags & _ENCRYPTED
    ):
        return None
    start += int.from_bytes(header[28:30], "little")
    data = header[start : start + info.compress_size]
    if info.compress_type == zipfile.ZIP_DEFLATED:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, info.file_size + 1)
        except zlib.error:
            return None
    elif info.compress_type != zipfile.ZIP_STORED:
        return None
    return data if len(data) == info.file_size and zlib.crc32(data) == info.CRC else None


def _member(info: zipfile.ZipInfo) -> Member | None:
    """Check one entry by itself; None for one that names the target itself (`./`)."""
    name = _name(info)
    if info.flag_bits & _ENCRYPTED:
        raise UnsafePackage(f"The entry '{name}' is encrypted: push a package without a password.")
    if info.compress_type not in _METHODS:
        raise UnsafePackage(f"The entry '{name}' is compressed by method {info.compress_type}: use deflate.")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        what = _KINDS.get(kind, "a special file")
        raise UnsafePackage(f"The entry '{name}' is {what}: only files and folders can be deployed.")
    if "\0" in name or len(name) > _MOST_NAME:
        raise UnsafePackage(f"The entry '{name[:80]!r}' has a name that no file can have.")
    text = name.replace("\\", "/")
    if text.startswith("/") or _DRIVE.match(text):
        raise UnsafePackage(
            f"The entry '{name}' has an absolute path: paths are relative to the site's content."
        )
    parts: list[str] = []
    for part in text.split("/"):
        if part == "..":
            if not parts:
                raise UnsafePackage(f"The entry '{name}' leads out of the site's content.")
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    is_folder = text.endswith("/") and info.file_size == 0
    if not parts:
        if is_folder:
            return None
        raise UnsafePackage(f"The entry '{name}' names no file.")
    return Member(info=info, path="/".join(parts), is_folder=is_folder)


def _is_utf8(info: zipfile.ZipInfo) -> bool:
    """Tell whether the name in the package is UTF-8, because the entry says so or because it is ASCII."""
    return bool(info.flag_bits & _UTF8) or info.orig_filename.isascii()


def _name(info: zipfile.ZipInfo) -> str:
    """Return the entry's name; many tools write UTF-8 and do not say so."""
    if _is_utf8(info):
        return info.orig_filename
    try:
        return info.orig_filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.orig_filename


def _check_sizes(infos: Sequence[zipfile.ZipInfo], *, size: int, bounds: Bounds) -> None:
    total = sum(info.file_size for info in infos)
    if total > bounds.bytes:
        raise UnsafePackage(
            f"The package unpacks to {total} bytes: at most {bounds.bytes} are unpacked (HOMEPORT_ZIP_MAX_MEGABYTES)."
        )
    if total > _FREE_BYTES and total > size * bounds.ratio:
        raise UnsafePackage(
            f"The package unpacks to {total // max(size, 1)} times its size: at most {bounds.ratio} times are "
            "unpacked (HOMEPORT_ZIP_MAX_RATIO)."
        )


def _check_overlap(infos: Sequence[zipfile.ZipInfo]) -> None:
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise UnsafePackage(f"The entry '{_name(info)}' overlaps another one: pack the content anew.")
        end = info.header_offset + _LOCAL_HEADER + info.compress_size


def _check_names(members: list[Member]) -> list[Member]:
    files: set[str] = set()
    folders: set[str] = set()
    for member in members:
        if not member.is_folder and member.path in files:
            raise UnsafePackage(f"The entry '{member.path}' is in the package twice.")
        (folders if member.is_folder else files).add(member.path)
        parent = member.path.rpartition("/")[0]
        while parent and parent not in folders:
            folders.add(parent)
            parent = parent.rpartition("/")[0]
    if both := sorted(files & folders):
        raise UnsafePackage(f"The entry '{both[0]}' is both a file and a folder.")
    return members


def _modified(info: zipfile.ZipInfo) -> float:
    """Return the time of an entry; zips hold no time zone, App Service's machines are in UTC."""
    try:
        return float(calendar.timegm((*info.date_time, 0, 0, 0)))
    except (ValueError, OverflowError):
        return float(calendar.timegm((1980, 1, 1, 0, 0, 0, 0, 0, 0)))


def _directory_bytes(file: BinaryIO) -> int:
    """Return how long the zip's directory says it is, before the zip module reads it into memory."""
    length = file.seek(0, os.SEEK_END)
    start = file.seek(max(length - 65_557, 0))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    if at < 0 or at + _END.size > len(tail):
        raise BrokenPackage("The package is not a zip: it has no end record.")
    size = int(_END.unpack_from(tail, at)[5])
    locator = start + at - 20
    if locator >= 0:
        file.seek(locator)
        found = file.read(20)
        if found[:4] == b"PK\6\7":
            file.seek(min(int.from_bytes(found[8:16], "little"), length))
            record = file.read(_END64.size)
            if len(record) == _END64.size and record[:4] == b"PK\6\6":
                size = max(size if size != 0xFFFFFFFF else 0, int(_END64.unpack(record)[8]))
    return size
