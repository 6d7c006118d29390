"""Hostile and broken packages: refused as a whole, before anything is written."""

import contextlib
import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ScmProcess
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.deployments.archive import (
    Bounds,
    BrokenPackage,
    UnsafePackage,
    check_members,
    extract,
    open_package,
)

Entry = zipfile.ZipInfo | str


def package(*entries: Entry, content: bytes = b"content") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for entry in entries:
            made.writestr(entry, content)
    return buffer.getvalue()


def special(kind: int, name: str = "odd") -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = (kind | 0o777) << 16
    return info


def doubled(name: str) -> bytes:
    """A package that has one name twice."""
    return (
        package("first.txt", name).replace(b"first.txt", name.encode().ljust(9, b"x")[:9])
        if len(name) == 9
        else b""
    )


def encrypted() -> bytes:
    data = bytearray(package("secret.txt"))
    data[6] |= 1
    at = data.rfind(b"PK\1\2")
    data[at + 8] |= 1
    return bytes(data)


def overlapping() -> bytes:
    """Two directory entries of one file's data, as zip bombs have by the thousand."""
    data = package("one.txt")
    start = data.rfind(b"PK\1\2")
    end = data.rfind(b"PK\5\6")
    directory = data[start:end] + data[start:end].replace(b"one.txt", b"two.txt")
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), start, 0)
    return data[:start] + directory + tail


def unknown_method() -> bytes:
    data = bytearray(package("odd.bin"))
    data[8] = 99
    data[data.rfind(b"PK\1\2") + 10] = 99
    return bytes(data)


HOSTILE = {
    "parent": (package("fine.txt", "../evil.txt"), "../evil.txt"),
    "deep parent": (package("a/b/../../../evil.txt"), "a/b/../../../evil.txt"),
    "absolute": (package("/etc/evil"), "/etc/evil"),
    "backslash parent": (package("..\\evil.txt"), "..\\evil.txt"),
    "mixed parent": (package("a\\..\\..\\evil.txt"), "a\\..\\..\\evil.txt"),
    "backslash root": (package("\\evil.txt"), "\\evil.txt"),
    "share": (package("\\\\server\\share\\evil.txt"), "\\\\server\\share\\evil.txt"),
    "drive": (package("C:\\evil.txt"), "C:\\evil.txt"),
    "drive without slash": (package("c:evil.txt"), "c:evil.txt"),
    "symbolic link": (package(special(stat.S_IFLNK), content=b"/etc/passwd"), "a symbolic link"),
    "device": (package(special(stat.S_IFCHR)), "a device"),
    "fifo": (package(special(stat.S_IFIFO)), "a FIFO"),
    "socket": (package(special(stat.S_IFSOCK)), "a socket"),
    "file and folder": (package("a", "a/b"), "'a' is both"),
    "twice": (doubled("samename1"), "twice"),
    "encrypted": (encrypted(), "encrypted"),
    "overlap": (overlapping(), "overlaps"),
    "method": (unknown_method(), "method 99"),
    "cut name": (package("aXtxt").replace(b"aXtxt", b"a\0txt"), "no file can have"),
    "nothing": (package("a/.."), "names no file"),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_entry_refuses_the_whole_package_and_is_named(shared_scm: ScmProcess, case: str) -> None:
    body, named = HOSTILE[case]
    before = {
        path
        for path in shared_scm.home.rglob("*")
        if "deployments" not in path.parts and "locks" not in path.parts
    }

    answer = shared_scm.client.post("/api/zipdeploy", content=body)

    assert answer.status_code == 400
    assert named in answer.json()["Message"]
    after = {
        path
        for path in shared_scm.home.rglob("*")
        if "deployments" not in path.parts and "locks" not in path.parts
    }
    assert {path for path in after - before if "data" not in path.parts} == set()
    assert list(shared_scm.home.glob("data/.homeport/zipdeploy/*")) == []


def test_an_asynchronous_hostile_package_ends_in_a_failed_record_that_says_why(scm: ScmProcess) -> None:
    (scm.web_root / "app.py").write_text("old")

    answer = scm.client.post("/api/zipdeploy?isAsync=true", content=package("app.py", "../evil"))

    record = scm.latest()
    assert answer.status_code == 202
    assert record["status"] == 3
    assert "'../evil' leads out" in scm.log_text(record["id"])
    assert (scm.web_root / "app.py").read_text() == "old"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("HOMEPORT_ZIP_MAX_ENTRIES", "2"),
        ("HOMEPORT_ZIP_MAX_MEGABYTES", "1"),
        ("HOMEPORT_ZIP_MAX_RATIO", "50"),
    ],
)
def test_a_package_beyond_a_bound_is_refused_and_the_bound_named(
    start_scm: Callable[..., ScmProcess], setting: str, value: str
) -> None:
    scm = start_scm(**{setting: value})
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for number in range(3):
            made.writestr(f"{number}", b"\0" * 40_000_000)

    answer = scm.client.post("/api/zipdeploy", content=buffer.getvalue())

    assert answer.status_code == 400
    assert setting in answer.json()["Message"]


def unpacked(data: bytes, folder: Path, bounds: Bounds | None = None) -> dict[str, bytes]:
    """Check and unpack, and return what was written."""
    limits = bounds or Bounds()
    (folder / "package.zip").write_bytes(data)
    with open_package(folder / "package.zip", limits) as opened:
        extract(opened, check_members(opened, size=len(data), bounds=limits), folder / "out")
    root = folder / "out"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_harmless_oddities_are_unpacked(tmp_path: Path) -> None:
    names = ("./a.txt", "dir\\b.txt", "dir/./c.txt", "x/../d.txt", "dir//e.txt", "ab:c.txt", "./")

    assert set(unpacked(package(*names[:-1]), tmp_path)) == {
        "a.txt",
        "dir/b.txt",
        "dir/c.txt",
        "d.txt",
        "dir/e.txt",
        "ab:c.txt",
    }


def test_folders_modes_times_and_names_survive(tmp_path: Path) -> None:
    script = zipfile.ZipInfo("run.sh", (2020, 2, 3, 4, 5, 6))
    script.create_system, script.external_attr = 3, (stat.S_IFREG | 0o4755) << 16
    data = package(script, "grün/日本.txt", "empty/", content=b"")

    assert set(unpacked(data, tmp_path)) == {"run.sh", "grün/日本.txt"}
    assert (tmp_path / "out/empty").is_dir()
    assert (tmp_path / "out/run.sh").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "out/run.sh").stat().st_mtime == 1_580_702_706


def test_a_name_in_utf8_that_does_not_say_so_is_read(tmp_path: Path) -> None:
    data = package("gr\xfc\xfcn.txt".replace("\xfc\xfc", "AB")).replace(b"grABn.txt", "grün.txt".encode())

    assert set(unpacked(data, tmp_path)) == {"grün.txt"}


def test_an_impossible_time_is_no_obstacle(tmp_path: Path) -> None:
    data = bytearray(package("a"))
    for at in (10, data.rfind(b"PK\1\2") + 12):
        data[at : at + 4] = b"\0\0\0\0"

    assert set(unpacked(bytes(data), tmp_path)) == {"a"}


def test_a_directory_too_large_to_be_read_is_refused_before_it_is_read(tmp_path: Path) -> None:
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, 0xFFFFFF00, 0, 0)
    (tmp_path / "a.zip").write_bytes(tail)

    with pytest.raises(UnsafePackage):
        open_package(tmp_path / "a.zip", Bounds())


@given(data=st.binary(max_size=200))
def test_any_bytes_are_a_package_or_are_refused(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("any")
    with_end = data + package("a")[-22:]

    for body in (data, with_end):
        (folder / "package.zip").write_bytes(body)
        try:
            with open_package(folder / "package.zip", Bounds()) as opened:
                check_members(opened, size=len(body), bounds=Bounds())
        except (BrokenPackage, UnsafePackage):
            pass


NAME = st.text(st.sampled_from("ab./\\:%é C"), min_size=1, max_size=12)


@given(names=st.lists(NAME, max_size=4, unique=True))
def test_whatever_the_names_nothing_is_written_outside(
    names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("names")
    data = package(*names)

    try:
        unpacked(data, folder)
    except (BrokenPackage, UnsafePackage):
        assert not (folder / "out").exists()

    assert {path.name for path in folder.iterdir()} <= {"package.zip", "out"}
    assert all(path.resolve().is_relative_to(folder) for path in folder.rglob("*"))


@given(position=st.integers(0, 400), value=st.integers(0, 255))
def test_a_flipped_byte_is_unpacked_or_refused(
    position: int, value: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("flip")
    data = bytearray(package("one.txt", "dir/two.txt"))
    data[position % len(data)] = value

    with contextlib.suppress(BrokenPackage, UnsafePackage, OSError):
        unpacked(bytes(data), folder)

    assert {path.name for path in folder.iterdir()} <= {"package.zip", "out"}


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("extra", [0, 40, 400])
@pytest.mark.parametrize("size", [0, 1, 1024**2, 1024**2 + 1])
def test_entries_come_out_as_they_went_in(method: int, extra: int, size: int, tmp_path: Path) -> None:
    content = (bytes(range(256)) * (size // 256 + 1))[:size]
    info = zipfile.ZipInfo("folder/entry.bin")
    info.compress_type = method
    info.extra = struct.pack("<HH", 0xCAFE, extra) + bytes(extra)
    (tmp_path / "prefixed.zip").write_bytes(b"#!program\n" + package(info, content=content))

    with open_package(tmp_path / "prefixed.zip", Bounds()) as opened:
        members = check_members(opened, size=size + 1000, bounds=Bounds())
        extract(opened, members, tmp_path / "out")

    assert (tmp_path / "out/folder/entry.bin").read_bytes() == content


def deflated(content: bytes = b"content " * 1000) -> tuple[bytearray, int]:
    """A package with one deflated entry, and where its directory begins."""
    info = zipfile.ZipInfo("a.txt")
    info.compress_type = zipfile.ZIP_DEFLATED
    data = bytearray(package(info, content=content))
    return data, data.rfind(b"PK\1\2")


def test_deflated_data_that_is_damaged_is_a_broken_package(tmp_path: Path) -> None:
    data, _ = deflated()
    data[35] = 0xFF

    with pytest.raises(BrokenPackage, match=r"a\.txt"):
        unpacked(bytes(data), tmp_path)


def test_an_entry_that_holds_other_than_its_checksum_says_is_a_broken_package(tmp_path: Path) -> None:
    data, directory = deflated()
    data[directory + 16] ^= 1

    with pytest.raises(BrokenPackage, match=r"a\.txt"):
        unpacked(bytes(data), tmp_path)


def test_an_entry_that_holds_more_than_it_declares_writes_no_more_than_that(tmp_path: Path) -> None:
    data, directory = deflated(bytes(10_000_000))
    data[directory + 24 : directory + 28] = struct.pack("<L", 10)

    with pytest.raises(BrokenPackage):
        unpacked(bytes(data), tmp_path)

    assert (tmp_path / "out/a.txt").stat().st_size <= 10


def test_an_entry_named_otherwise_in_its_own_header_is_a_broken_package(tmp_path: Path) -> None:
    data, _ = deflated()
    data[30] = ord("b")

    with pytest.raises(BrokenPackage):
        unpacked(bytes(data), tmp_path)
