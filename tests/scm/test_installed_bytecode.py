"""The compiled code of installed packages, by the program as a build runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from homeport.runtimes.interpreters import InterpreterSearch, machine_places
from homeport.scm.deployments import installed_bytecode
from homeport.scm.deployments.installed_bytecode import Packages, Store, bring_up_to_date

_SHOW = (
    "import sys; sys.path[:0] = [sys.argv[1]]; import tiny; print(tiny.NAME, tiny.tell.__code__.co_filename)"
)


class Site:
    """Packages that are installed into `next` and then take the place of `live`."""

    def __init__(self, folder: Path) -> None:
        self.next, self.live, self.store = folder / "next", folder / "live", folder / "store"
        self.next.mkdir()

    def install(self, name: str, text: str) -> Path:
        path = self.next / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))  # whatever comes, comes within one second
        return path

    def compile(self) -> tuple[int, int]:
        return bring_up_to_date(
            Packages(str(self.next), str(self.live)), Store(str(self.store), str(self.live))
        )

    def switch(self) -> None:
        """Serve what was installed, and begin the next version with hard links to it, as a deployment does."""
        if self.live.exists():
            self.live.rename(self.live.with_name(f"older-{len(os.listdir(self.live.parent))}"))
        self.next.rename(self.live)
        subprocess.run(["cp", "-al", self.live, self.next], check=True)

    def shows(self) -> list[str]:
        """Import `tiny` as it is served, without writing anything."""
        line = [sys.executable, "-I", "-B", "-c", _SHOW, str(self.live)]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout.split()

    def code(self, name: str) -> Path:
        return next((self.next / name).parent.glob(f"__pycache__/{Path(name).stem}.*.pyc"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def tiny(name: str) -> str:
    return f"NAME = '{name}'\ndef tell(): return NAME\n"


def test_a_version_of_the_same_size_and_second_runs_its_own_code(site: Site) -> None:
    site.install("tiny.py", tiny("old"))
    site.compile()
    site.switch()
    site.install("tiny.py", tiny("new"))
    assert site.compile() == (1, 0)
    site.switch()

    assert site.shows() == ["new", str(site.live / "tiny.py")]


def test_what_was_compiled_once_is_not_compiled_again_for_new_packages(site: Site, tmp_path: Path) -> None:
    site.install("tiny.py", tiny("one"))
    site.install("more/deep/x.py", "X = 1\n")
    assert site.compile() == (2, 0)

    (tmp_path / "next").rename(tmp_path / "thrown-away")
    site.next.mkdir()
    site.install("tiny.py", tiny("one"))
    site.install("more/deep/x.py", "X = 2\n")

    assert site.compile() == (1, 1)
    site.switch()
    assert site.shows() == ["one", str(site.live / "tiny.py")]
    source = (site.live / "tiny.py").stat()
    header = site.code("tiny.py").read_bytes()[8:16]
    assert header == int(source.st_mtime).to_bytes(4, "little") + source.st_size.to_bytes(4, "little")


def test_the_packages_that_are_served_keep_their_code(site: Site) -> None:
    site.install("tiny.py", tiny("old"))
    site.install("same.py", "")
    site.compile()
    site.switch()
    served = (site.live / "__pycache__" / site.code("tiny.py").name).read_bytes()
    shared = site.code("same.py").stat().st_ino
    site.install("tiny.py", tiny("new"))

    assert site.compile() == (1, 0)

    assert (site.live / "__pycache__" / site.code("tiny.py").name).read_bytes() == served
    assert site.code("same.py").stat().st_ino == shared


def test_what_somebody_wrote_into_installed_code_does_not_come_back(site: Site) -> None:
    site.install("tiny.py", tiny("one"))
    site.compile()
    with site.code("tiny.py").open("r+b") as file:
        file.truncate(3)
    kept = next(site.store.glob("*/tiny.py"))
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")

    assert site.compile() == (1, 0)
    site.switch()
    assert site.shows()[0] == "one"


def test_what_does_not_compile_has_no_code_and_stops_nothing(site: Site) -> None:
    site.install("bad/template.py", "fine = 1\n")
    site.compile()
    site.install("bad/template.py", "{{ no }")
    site.install("bad/nothing.py", "\0")
    site.install("tiny.py", tiny("one"))

    assert site.compile() == (3, 0)
    assert [path.name.partition(".")[0] for path in site.next.rglob("*.pyc")] == ["tiny"]
    assert site.compile() == (0, 3)


def test_the_store_forgets_packages_and_places_that_are_gone(site: Site, tmp_path: Path) -> None:
    site.install("tiny.py", tiny("one"))
    site.install("gone.py", "")
    site.compile()
    Store(str(site.store), str(tmp_path / "removed")).write("x.py", {})
    (site.next / "gone.py").unlink()

    site.compile()

    assert [path.name for path in site.store.glob("*/*")] == ["tiny.py"]


def test_many_modules_are_compiled_by_several_processes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(350):
        site.install(f"many/m{number}.py", f"N = {number}\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 1, 2})

    assert site.compile() == (350, 0)

    assert len(list((site.next / "many/__pycache__").iterdir())) == 350
    line = [
        sys.executable,
        "-I",
        "-c",
        "import sys; sys.path[:0] = sys.argv[1:]; import many.m349 as m; print(m.N)",
    ]
    site.switch()
    assert subprocess.run([*line, str(site.live)], capture_output=True, check=True).stdout == b"349\n"


def test_it_runs_in_every_python_that_it_is_for(site: Site) -> None:
    site.install("tiny.py", tiny("one"))
    pythons = [each for each in InterpreterSearch(machine_places()).find() if each.version >= (3, 8)]
    for python in pythons:
        program = [python.executable, "-I", "-S", "-B", installed_bytecode.__file__]
        line = list(map(str, [*program, site.next, site.live, site.store]))
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        assert done.stdout == "Byte code: 1 compiled, 0 brought back.\n"
    tags = {"cpython-{}{}".format(*python.version) for python in pythons}
    assert {path.name.split(".")[1] for path in site.next.glob("__pycache__/tiny.*")} == tags
    assert tags
