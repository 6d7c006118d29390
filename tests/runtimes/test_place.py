import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.runtimes.place import Placement, place_program, recover, removal_program
from homeport.runtimes.seed import Seed

pytestmark = pytest.mark.interpreters
MINORS = ["3.6", "3.8", "3.11", "3.13"]
RUN = (sys.executable, "-I", "-m", "homeport.runtimes.place")


def placement(seed: Seed, home: Path, folder: str = "python361x64") -> Placement:
    return Placement(
        seed=seed.template,
        target=home / folder,
        id=folder,
        version=seed.entry.version,
        build=seed.entry.build,
        base=seed.entry.base,
        note="a note",
    )


def run(line: tuple[str, ...]) -> tuple[int, list[dict[str, object]]]:
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    return done.returncode, [json.loads(text) for text in done.stdout.splitlines()]


def install(seed: Seed, home: Path, folder: str = "python361x64") -> Path:
    code, lines = run(place_program(placement(seed, home, folder), run=RUN))
    assert code == 0, lines
    return home / folder


def call(*line: str | Path) -> str:
    return subprocess.run(
        line, capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"}
    ).stdout


@pytest.mark.parametrize("minor", MINORS)
class TestOfEachPython:
    def test_python_exe_runs_in_its_folder(
        self, seed_of: Callable[[str], Seed], tmp_path: Path, minor: str
    ) -> None:
        folder = install(seed_of(minor), tmp_path)

        said = call(folder / "python.exe", "-c", "import sys; print(sys.prefix, *sys.version_info[:2])")

        assert said.split() == [str(folder), *minor.split(".")]

    def test_pip_is_reached_by_all_its_names(
        self, seed_of: Callable[[str], Seed], tmp_path: Path, minor: str
    ) -> None:
        folder = install(seed_of(minor), tmp_path)

        said = [
            call(folder / "python.exe", "-m", "pip", "--version"),
            *(
                call(folder / name, "--version")
                for name in ("pip", "Scripts/pip.exe", "Scripts/pip3", "bin/pip")
            ),
        ]

        assert len(set(said)) == 1
        assert str(folder) in said[0]

    def test_pip_installs_into_the_folder(
        self, seed_of: Callable[[str], Seed], tmp_path: Path, minor: str
    ) -> None:
        folder = install(seed_of(minor), tmp_path)
        project = tmp_path / "project"
        project.mkdir()
        (project / "setup.py").write_text(
            "from setuptools import setup\n"
            "setup(name='greeting', version='1', py_modules=['greeting'],"
            " entry_points={'console_scripts': ['greet = greeting:main']})\n"
        )
        (project / "greeting.py").write_text("def main():\n    print('hello')\n")

        call(folder / "python.exe", "-m", "pip", "install", "--no-index", "--no-build-isolation", project)

        assert (folder / "Lib/site-packages/greeting.py").exists()
        assert call(folder / "Scripts/greet") == "hello\n"

    def test_what_app_service_preinstalled_is_listed(
        self, seed_of: Callable[[str], Seed], tmp_path: Path, minor: str
    ) -> None:
        folder = install(seed_of(minor), tmp_path)

        listed = {package["name"] for package in json.loads(call(folder / "pip", "list", "--format", "json"))}

        assert {"pip", "setuptools", "certifi", "wfastcgi"} <= listed

    def test_wfastcgi_says_who_does_its_work(
        self, seed_of: Callable[[str], Seed], tmp_path: Path, minor: str
    ) -> None:
        folder = install(seed_of(minor), tmp_path)

        said = {
            call(folder / "python.exe", folder / "wfastcgi.py"),
            call(folder / "Scripts/wfastcgi-enable.exe"),
            call(folder / "python.exe", "-m", "wfastcgi"),
        }

        assert len(said) == 1
        assert "Homeport" in said.pop()


def test_the_installation_reports_progress_and_leaves_a_record(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    seed = seed_of("3.11")

    code, lines = run(place_program(placement(seed, tmp_path), run=RUN))

    fractions = [line["fraction"] for line in lines[:-1]]
    record = json.loads((tmp_path / "SiteExtensions/python361x64/homeport.json").read_text())
    assert (code, lines[-1]["result"]) == (
        0,
        {"folder": "python361x64", "id": "python361x64", "version": seed.entry.version},
    )
    assert fractions == sorted(fractions)  # type: ignore[type-var]
    assert (record["id"], record["build"], record["note"]) == ("python361x64", seed.entry.build, "a note")


def test_a_second_installation_keeps_the_packages_and_mends_the_programs(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    folder = install(seed_of("3.11"), tmp_path)
    (folder / "Lib/site-packages/mine.py").write_text("")
    (folder / "python.exe").unlink()
    (folder / "bin/python").unlink()

    install(seed_of("3.11"), tmp_path)

    assert (folder / "Lib/site-packages/mine.py").exists()
    assert call(folder / "python.exe", "-c", "import mine; print('there')") == "there\n"


def test_a_second_installation_brings_a_deleted_pip_back(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    folder = install(seed_of("3.11"), tmp_path)
    call(folder / "pip", "uninstall", "-y", "pip")

    install(seed_of("3.11"), tmp_path)

    assert "pip" in call(folder / "Scripts/pip.exe", "--version")


def test_another_minor_version_replaces_the_folder(seed_of: Callable[[str], Seed], tmp_path: Path) -> None:
    folder = install(seed_of("3.8"), tmp_path)

    install(seed_of("3.11"), tmp_path)

    assert call(folder / "python.exe", "-c", "import sys; print(sys.version_info[1])") == "11\n"
    assert not list(tmp_path.glob(".python*"))


def test_a_folder_of_the_sites_own_is_not_touched(seed_of: Callable[[str], Seed], tmp_path: Path) -> None:
    (tmp_path / "python361x64").mkdir()
    (tmp_path / "python361x64/thesis.txt").write_text("two years of work")

    code, lines = run(place_program(placement(seed_of("3.11"), tmp_path), run=RUN))

    assert (code, lines[-1]["error"]["code"]) == (1, "FolderInTheWay")  # type: ignore[index]
    assert (tmp_path / "python361x64/thesis.txt").exists()


def test_two_installations_of_one_id_do_not_run_at_once(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    folder = tmp_path / "site/siteextensions/python361x64"
    folder.mkdir(parents=True)
    with (folder / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        code, lines = run(place_program(placement(seed_of("3.11"), tmp_path), run=RUN))

    assert (code, lines[-1]["error"]["code"]) == (1, "InstallRunning")  # type: ignore[index]


@pytest.mark.parametrize("trap", ["fifo", "link", "folder"])
def test_a_trap_in_the_place_of_the_lock_is_refused_at_once(
    trap: str, seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    lock = tmp_path / "site/siteextensions/python361x64/install.lock"
    lock.parent.mkdir(parents=True)
    {"fifo": os.mkfifo, "link": lambda path: path.symlink_to("/dev/zero"), "folder": Path.mkdir}[trap](lock)

    code, lines = run(place_program(placement(seed_of("3.11"), tmp_path), run=RUN))

    assert code != 0
    assert lines[-1]["error"]["code"] == "NotARegularFile"  # type: ignore[index]
    assert not (tmp_path / "python361x64").exists()


def test_a_killed_installation_is_cleared_by_the_next(seed_of: Callable[[str], Seed], tmp_path: Path) -> None:
    line = place_program(placement(seed_of("3.11"), tmp_path), run=RUN)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    folder = install(seed_of("3.11"), tmp_path)

    assert not list(tmp_path.glob(".python*"))
    assert "pip" in call(folder / "pip", "--version")


def test_what_a_killed_installation_left_is_gone_at_the_next_look(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    line = place_program(placement(seed_of("3.11"), tmp_path), run=RUN)
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    process.stdout.readline()
    recover(tmp_path)
    assert list(tmp_path.glob(".python*")), "one that runs is left alone"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    mine = tmp_path / ".notes.aside-mine"
    mine.mkdir()

    recover(tmp_path)

    assert not list(tmp_path.glob(".python*"))
    assert mine.is_dir()


def test_a_python_that_was_moved_away_when_its_exchange_was_killed_comes_back(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    folder = install(seed_of("3.11"), tmp_path)
    aside = tmp_path / f".{folder.name}.aside-x"
    (aside / "new").mkdir(parents=True)
    folder.rename(aside / "old")

    recover(tmp_path)

    assert "pip" in call(folder / "pip", "--version")
    assert not aside.exists()


def test_a_removal_that_was_killed_can_be_finished(seed_of: Callable[[str], Seed], tmp_path: Path) -> None:
    folder = install(seed_of("3.11"), tmp_path)
    aside = tmp_path / f".{folder.name}.aside-x"
    aside.mkdir()
    folder.rename(aside / "old")

    code, lines = run(removal_program(folder, "python361x64", run=RUN))

    assert (code, lines[-1]["error"]["code"]) == (1, "RuntimeNotFound")  # type: ignore[index]
    assert [path.name for path in tmp_path.iterdir() if list(path.rglob("*")) and path.name != "site"] == []
    assert not list(tmp_path.glob(".python*"))


def test_removing_takes_the_folder_and_the_record(seed_of: Callable[[str], Seed], tmp_path: Path) -> None:
    folder = install(seed_of("3.11"), tmp_path)

    code, lines = run(removal_program(folder, "python361x64", run=RUN))

    assert code == 0
    assert "packages that were installed into it" in str(lines[-2]["progress"])
    assert [path.name for path in tmp_path.iterdir() if list(path.rglob("*")) and path.name != "site"] == []


def test_removing_what_is_not_there_says_so(tmp_path: Path) -> None:
    code, lines = run(removal_program(tmp_path / "python361x64", "python361x64", run=RUN))

    assert (code, lines[-1]["error"]["code"]) == (1, "RuntimeNotFound")  # type: ignore[index]


def test_a_link_laid_in_the_way_is_replaced_and_not_followed(
    seed_of: Callable[[str], Seed], tmp_path: Path
) -> None:
    folder = install(seed_of("3.11"), tmp_path)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (folder / "python.exe").unlink()
    (folder / "python.exe").symlink_to(victim)

    install(seed_of("3.11"), tmp_path)

    assert victim.read_text() == "untouched"
    assert not (folder / "python.exe").is_symlink()
