"""Visitors get one version or the other, whole, whatever happens while it changes."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ScmProcess, packed
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.deployments.switching import ContentSwitch, exchange
from homeport.scm.deployments.trees import (
    carry_changes,
    find_changes,
    part_files,
    place_changes,
    remove_tree,
    share_again,
    share_tree,
)

FIRST = {f"pages/{number}.txt": "first" for number in range(30)} | {
    "only-first.txt": "first",
    "web.config": "<a/>",
}
SECOND = {f"pages/{number}.txt": "second" for number in range(30)} | {"new/second.txt": "second"}


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def test_whoever_looks_sees_one_version_or_the_other_and_never_a_mixture(scm: ScmProcess) -> None:
    scm.deploy(FIRST)
    seen: set[frozenset[str]] = set()
    done = threading.Event()

    def visit() -> None:
        while not done.is_set():
            folder = os.open(scm.web_root, os.O_RDONLY | os.O_DIRECTORY)
            texts = set()
            for number in range(30):
                file = os.open(f"pages/{number}.txt", os.O_RDONLY, dir_fd=folder)
                texts.add(os.read(file, 100).decode())
                os.close(file)
            os.close(folder)
            seen.add(frozenset(texts))

    visitor = threading.Thread(target=visit)
    visitor.start()
    for _ in range(5):
        scm.deploy(SECOND)
        scm.deploy(FIRST)
    done.set()
    visitor.join()

    assert seen == {frozenset({"first"}), frozenset({"second"})}


def test_a_failing_deployment_changes_nothing(scm: ScmProcess) -> None:
    scm.deploy(FIRST)
    before = tree(scm.web_root)

    scm.deploy(
        {
            ".deployment": "[config]\nCOMMAND = deploy.cmd\n",
            "deploy.cmd": "@echo off\r\necho broken> %DEPLOYMENT_TARGET%\\web.config\r\n"
            "copy deploy.cmd %DEPLOYMENT_TARGET%\\pages\\1.txt\r\n"
            "del %DEPLOYMENT_TARGET%\\only-first.txt\r\nexit 3\r\n",
        }
    )

    record = scm.latest()
    assert (record["status"], record["active"]) == (3, False)
    assert tree(scm.web_root) == before
    assert not (scm.home / "data/.homeport/switch/next").exists()


CHANGE_IN_PLACE = """
import os, pathlib, sys
target = pathlib.Path(os.environ["DEPLOYMENT_TARGET"])
for name in ("app.py", "web.config", "made.txt"):
    if (target / name).exists():
        with (target / name).open("r+") as file:
            file.seek(0, 2)
            file.write(" changed")
if sys.argv[1] == "make":
    (target / "made.txt").write_text("made")
sys.exit(sys.argv[1] == "fail")
"""


def test_a_command_that_writes_deployed_files_in_place_changes_what_is_served_at_the_end_or_not_at_all(
    scm: ScmProcess,
) -> None:
    scm.deploy({"app.py": "1", "web.config": "<a/>"})

    def run(argument: str) -> int:
        command = f'[config]\nCOMMAND = "{sys.executable}" change.py {argument}\n'
        scm.deploy({".deployment": command, "change.py": CHANGE_IN_PLACE})
        return int(scm.latest()["status"])

    assert run("fail") == 3
    assert tree(scm.web_root) == {"app.py": "1", "web.config": "<a/>"}
    assert run("make") == 4, scm.log_text(scm.latest()["id"])
    made = {"app.py": "1 changed", "web.config": "<a/> changed", "made.txt": "made"}
    assert tree(scm.web_root) == made
    (scm.web_root / "upload.bin").write_bytes(b"of the site")
    assert run("fail") == 3
    assert tree(scm.web_root) == {**made, "upload.bin": "of the site"}
    before = (scm.web_root / "upload.bin").stat().st_ino
    assert run("succeed") == 4
    assert (scm.web_root / "upload.bin").stat().st_ino == before
    assert (scm.web_root / "made.txt").read_text() == "made changed"


@pytest.mark.parametrize("setting", ["POST_BUILD_COMMAND", "SCM_POST_DEPLOYMENT_ACTIONS_PATH"])
def test_commands_after_a_build_and_actions_that_write_in_place_and_fail_change_nothing(
    start_scm: Callable[..., ScmProcess], setting: str
) -> None:
    line = f'"{sys.executable}" change.py fail'
    scm = start_scm(**{setting: line if setting == "POST_BUILD_COMMAND" else "actions"})
    (scm.home / "python3117x64/bin").mkdir(parents=True)
    (scm.home / "python3117x64/bin/python").symlink_to(sys.executable)
    (scm.home / "python3117x64/pyvenv.cfg").write_text("version = 3.11.7\n")
    scm.deploy({"app.py": "1"})

    scm.deploy(
        {
            ".deployment": "[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT = true\n",
            "app.py": "1",
            "requirements.txt": "",
            "change.py": CHANGE_IN_PLACE,
            "actions/change.cmd": f"@cd %DEPLOYMENT_TARGET%\r\n@{line}\r\n",
        }
    )

    record = scm.latest()
    assert (record["status"], tree(scm.web_root)) == (3, {"app.py": "1"}), scm.log_text(record["id"])
    assert "change.py fail" in record["status_text"] or "change.cmd" in record["status_text"]


def test_what_the_site_writes_during_a_deployment_comes_along(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1", "mine.db": "0"})
    (scm.web_root / "removed-meanwhile.txt").write_text("x")
    database = (scm.web_root / "mine.db").open("a")
    command = (
        "[config]\nCOMMAND = copy app.py %DEPLOYMENT_TARGET%\\app.py && mkdir D:\\home\\site\\wwwroot\\up && "
        "echo up> D:\\home\\site\\wwwroot\\up\\load.txt && del D:\\home\\site\\wwwroot\\removed-meanwhile.txt\n"
    )

    scm.deploy({".deployment": command, "app.py": "2"})
    database.write("written through an open file")
    database.close()

    assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
    found = tree(scm.web_root)
    assert found.pop("up/load.txt").strip() == "up"
    assert found == {"app.py": "2", "mine.db": "0written through an open file"}


def test_wwwroot_stays_a_folder_and_open_files_stay_open(scm: ScmProcess) -> None:
    scm.deploy(FIRST)
    with (scm.web_root / "pages/1.txt").open() as file:
        scm.deploy(SECOND)
        assert file.read() == "first"
    assert scm.web_root.is_dir()
    assert not scm.web_root.is_symlink()


@pytest.mark.parametrize(
    ("settings", "query"), [({}, {"restart": "false"}), ({"SCM_TOUCH_WEBCONFIG_AFTER_DEPLOYMENT": "0"}, {})]
)
def test_without_a_restart_the_folder_stays_and_only_changed_files_take_their_places(
    start_scm: Callable[..., ScmProcess], settings: dict[str, str], query: dict[str, str]
) -> None:
    scm = start_scm(**settings)
    scm.deploy(FIRST)
    (scm.web_root / "upload.txt").write_text("of the site")
    folder = scm.web_root.stat().st_ino
    configuration = (scm.web_root / "web.config").stat()
    second = {**SECOND, "web.config": "<a/>", "only-first.txt/now/a.txt": "a folder"}
    del second["pages/7.txt"]

    answer = scm.client.post(
        "/api/publish", params={"type": "zip", "clean": "false", **query}, content=packed(second)
    )

    assert (answer.status_code, scm.latest()["status"]) == (200, 3)
    assert "only-first.txt" in scm.latest()["status_text"]
    assert tree(scm.web_root) == {**FIRST, "upload.txt": "of the site"}
    (scm.web_root / "only-first.txt").unlink()
    scm.client.post("/api/publish", params={"type": "zip", "clean": "true", **query}, content=packed(second))
    assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
    assert tree(scm.web_root) == second
    assert scm.web_root.stat().st_ino == folder
    after = (scm.web_root / "web.config").stat()
    assert (after.st_ino, after.st_mtime_ns) == (configuration.st_ino, configuration.st_mtime_ns)


def points() -> list[float]:
    """Ten points of a deployment, half of them around its end, where the versions change places."""
    return [0.02, 0.1, 0.3, 0.5, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98]


@pytest.mark.parametrize(
    ("point", "how"),
    [(point, "switch") for point in points()] + [(point, "keep-folder") for point in (0.6, 0.75, 0.9)],
)
def test_killed_at_any_point_the_site_serves_one_version_and_the_record_says_which(
    start_scm: Callable[..., ScmProcess], folder: Path, point: float, how: str
) -> None:
    counted, scm = start_scm(), start_scm()
    package = folder / "package.zip"
    package.write_bytes(packed(SECOND))
    for site in (counted, scm):
        site.deploy(FIRST, message="first")
        site.process.terminate()
        site.process.wait(timeout=20)
    total = int(deploy_and_die(counted, package, 0, how).stdout)

    died = deploy_and_die(scm, package, max(1, int(total * point)), how)
    scm.start()

    assert died.returncode == -signal.SIGKILL
    records = scm.client.get("/api/deployments").json()
    served = {"first": FIRST, "second": SECOND}[next(r["message"] for r in records if r["active"])]
    assert tree(scm.web_root) == served
    assert all(record["complete"] for record in records)
    assert {r["message"]: r["status"] for r in records}["first"] == 4
    again = scm.deploy({"third.txt": "third"})
    assert (again.status_code, tree(scm.web_root)) == (200, {"third.txt": "third"})


def deploy_and_die(scm: ScmProcess, package: Path, at: int, how: str) -> "subprocess.CompletedProcess[bytes]":
    script = Path(__file__).with_name("killed_deployment.py")
    environment = {**os.environ, "HOME": str(scm.home), "TMP": str(scm.folder / "local/Temp")}
    return subprocess.run(
        [sys.executable, str(script), str(package), str(at), how],
        env=environment,
        stdout=subprocess.PIPE,
        check=False,
    )


class TestRecovery:
    """A switch that was cut short between two folders is finished."""

    def test_folders_that_had_not_changed_places_do(self, tmp_path: Path) -> None:
        write(tmp_path, {"site/wwwroot/a": "old", "python/p": "old"})
        switch = ContentSwitch(tmp_path)
        for name in ("site/wwwroot", "python"):
            staged = switch.stage(tmp_path / name)
            for file in staged.iterdir():
                file.unlink()
                file.write_text("new")
        switch.commit("this")
        exchange(
            tmp_path / "data/.homeport/switch/next/python", tmp_path / "python"
        )  # as if it had not happened

        later = ContentSwitch(tmp_path)

        assert later.recover() == "this"
        assert later.recover() == "this"
        later.finish()
        assert (tmp_path / "site/wwwroot/a").read_text() == "new"
        assert (tmp_path / "python/p").read_text() == "new"
        assert later.recover() is None

    @pytest.mark.parametrize(
        "journal", [b"", b"null", b"{}", b'{"deployment":"x","folders":{"../../../../etc":1}}', b"\xff"]
    )
    def test_a_broken_journal_changes_nothing(self, tmp_path: Path, journal: bytes) -> None:
        write(tmp_path, {"site/wwwroot/a": "old", "data/.homeport/switch/next/site/wwwroot/a": "new"})
        (tmp_path / "data/.homeport/switch/journal.json").write_bytes(journal)

        ContentSwitch(tmp_path).recover()

        assert (tmp_path / "site/wwwroot/a").read_text() == "old"


def test_folders_that_forbid_writing_do_not_stop_later_deployments(scm: ScmProcess) -> None:
    scm.deploy({"locked/deep/a.txt": "1"})
    for number in range(3):
        for folder in (scm.web_root / "locked/deep", scm.web_root / "locked"):
            folder.chmod(0o555)
        scm.deploy({"locked/deep/a.txt": "x" * (number + 2)})
        assert scm.latest()["status"] == 4
    assert tree(scm.web_root) == {"locked/deep/a.txt": "xxxx"}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody whom modes stop")
def test_a_tree_that_forbids_it_is_removed(tmp_path: Path) -> None:
    write(tmp_path / "tree", {"a/b/c": "1", "a/d": "2"})
    for folder in ("a/b", "a", "."):
        (tmp_path / "tree" / folder).chmod(0o500)
    subprocess.run(["chown", "-R", "65534:65534", tmp_path], check=True)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        remove_tree(tmp_path / "tree")
        os._exit(0)
    os.waitpid(child, 0)

    assert not (tmp_path / "tree").exists()


def test_removing_what_is_not_there_changes_no_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    remove_tree(tmp_path / "none")
    assert tmp_path.stat().st_mode & 0o777 == 0o755


NAMES = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"])
FILES = st.dictionaries(NAMES, st.text("xyz", max_size=3))


@given(before=FILES, after=FILES, deployed=FILES)
def test_changes_are_carried_and_what_was_deployed_wins(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    after: dict[str, str],
    deployed: dict[str, str],
) -> None:
    root = tmp_path_factory.mktemp("trees")
    write(root / "live", before)
    (root / "live").mkdir(exist_ok=True)
    known = share_tree(root / "live", root / "next")
    replaced(root / "next", deployed)
    for name in before:
        (root / "live" / name).unlink()
    replaced(root / "live", after)

    carry_changes(root / "live", known, root / "next")

    assert tree(root / "next") == {**after, **deployed}


@given(names=st.sets(NAMES), site=st.sets(NAMES), program=st.sets(NAMES))
def test_what_a_program_leaves_alone_is_shared_again_and_what_both_wrote_is_named(
    tmp_path_factory: pytest.TempPathFactory, names: set[str], site: set[str], program: set[str]
) -> None:
    root = tmp_path_factory.mktemp("trees")
    live, place = root / "live", root / "next"
    write(live, dict.fromkeys(names, "old"))
    live.mkdir(exist_ok=True)
    share_tree(live, place)
    copies = part_files(place, names)
    write(live, dict.fromkeys(site & names, "the site's"))
    write(place, dict.fromkeys(program & names, "a program's"))

    twice = share_again(copies, live, place)

    assert set(twice) == site & program & names
    assert tree(live) == {name: "the site's" if name in site else "old" for name in names}
    for name in names:
        shared = (live / name).samefile(place / name)
        assert shared is (name not in program)
    assert {name for name, text in tree(place).items() if text == "a program's"} == program & names


def test_a_database_stays_one_while_programs_work(tmp_path: Path) -> None:
    write(tmp_path, {"live/app.py": "1", "live/no-database-wal": "x"})
    database = sqlite3.connect(tmp_path / "live/db.sqlite3")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("CREATE TABLE a (b)")
    share_tree(tmp_path / "live", tmp_path / "next")

    copies = part_files(tmp_path / "next", None)

    assert set(copies) == {"app.py", "no-database-wal"}
    assert (tmp_path / "next/db.sqlite3-wal").samefile(tmp_path / "live/db.sqlite3-wal")
    database.close()


TREES = st.dictionaries(st.sampled_from(["a", "b", "d/a", "d/b", "e/f/a", "g"]), st.text("xyz", max_size=2))


@given(before=TREES, after=TREES, folder=st.booleans(), site=st.sets(st.sampled_from(["a", "d/b", "new"])))
def test_changes_are_placed_one_by_one_and_placing_them_again_harms_nothing(
    tmp_path_factory: pytest.TempPathFactory,
    before: dict[str, str],
    after: dict[str, str],
    folder: bool,
    site: set[str],
) -> None:
    root = tmp_path_factory.mktemp("trees")
    live, place = root / "live", root / "next"
    live.mkdir()
    write(live, before)
    if folder:  # a file and a folder of one name, either way round
        before.pop("g", None)
        after.pop("g", None)
        (live / "g").unlink(missing_ok=True)
        write(live, {"g/h": "in a folder"})
        after["g"] = "a file"
    known = share_tree(live, root / "kept")  # so that no inode is given again
    place.mkdir()
    write(place, after)
    write(live, {"later": "of the site"})

    changes = json.loads(json.dumps(find_changes(place, known, live)))
    place_changes(changes, place, live)

    assert tree(live) == {**after, "later": "of the site"}
    replaced(live, dict.fromkeys(site, "of the site"))
    place_changes(changes, place, live)
    assert tree(live) == {**after, "later": "of the site", **dict.fromkeys(site, "of the site")}


def replaced(root: Path, files: dict[str, str]) -> None:
    """Write files as editors and deployments do: aside, then renamed."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.new").write_text(text)
        (root / f"{name}.new").rename(root / name)
