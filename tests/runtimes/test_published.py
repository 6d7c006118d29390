import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from homeport.runtimes.published import one_builder, publish


def write(text: str) -> Callable[[Path], None]:
    def build(folder: Path) -> None:
        (folder / "text").write_text(text)

    return build


def test_what_is_built_is_reached_by_its_link(tmp_path: Path) -> None:
    with one_builder(tmp_path):
        publish(tmp_path, "thing", stamp="1", build=write("one"))

    assert (tmp_path / "thing/text").read_text() == "one"


def test_the_same_stamp_is_not_built_again(tmp_path: Path) -> None:
    with one_builder(tmp_path):
        publish(tmp_path, "thing", stamp="1", build=write("one"))
        publish(tmp_path, "thing", stamp="1", build=write("two"))

    assert (tmp_path / "thing/text").read_text() == "one"


def test_the_one_before_stays_for_those_who_use_it_and_older_ones_go(tmp_path: Path) -> None:
    with one_builder(tmp_path):
        for stamp in "123":
            publish(tmp_path, "thing", stamp=stamp, build=write(stamp))

    assert sorted(path.name for path in tmp_path.glob("thing*")) == ["thing", "thing-2", "thing-3"]


def test_a_failed_build_leaves_the_one_before_in_force(tmp_path: Path) -> None:
    def fail(_: Path) -> None:
        raise OSError("disk full")

    with one_builder(tmp_path):
        publish(tmp_path, "thing", stamp="1", build=write("one"))
        with pytest.raises(OSError, match="disk full"):
            publish(tmp_path, "thing", stamp="2", build=fail)
    with one_builder(tmp_path):
        pass

    assert (tmp_path / "thing/text").read_text() == "one"
    assert not list(tmp_path.glob(".aside*"))


def test_every_user_can_read_what_a_builder_with_a_closed_umask_wrote(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        with one_builder(tmp_path):
            folder = publish(tmp_path, "thing", stamp="1", build=write("one"))
    finally:
        os.umask(before)

    assert (folder.stat().st_mode & 0o777, (folder / "text").stat().st_mode & 0o777) == (0o755, 0o644)


def test_a_second_builder_waits_for_the_first(tmp_path: Path) -> None:
    order: list[str] = []

    def second() -> None:
        with one_builder(tmp_path):
            order.append("second")

    with one_builder(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        order.append("first")
    thread.join()

    assert order == ["first", "second"]


def test_a_killed_builder_leaves_nothing_behind(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from homeport.runtimes.published import one_builder, publish\n"
        "def build(folder):\n"
        "    (folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder = Path(sys.argv[1])\n"
        "with one_builder(folder):\n"
        "    publish(folder, 'thing', stamp='1', build=build)\n"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    assert killed.returncode == -9

    with one_builder(tmp_path):
        publish(tmp_path, "thing", stamp="1", build=write("whole"))

    assert sorted(path.name for path in (tmp_path / "thing").iterdir()) == ["text"]
    assert not list(tmp_path.glob(".aside*"))
