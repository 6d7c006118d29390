"""`homeport deployments`: looking at what was deployed and going back to it."""

from pathlib import Path

import pytest

from .conftest import Keyboard


@pytest.fixture
def two(hello: Keyboard, tmp_path: Path) -> tuple[str, str]:
    """Two deployments, the older first."""
    ids = []
    for number in ("1", "2"):
        folder = tmp_path / number
        folder.mkdir()
        (folder / "app.py").write_text(number * 3)
        (folder / f"only{number}.py").write_text(number)
        ids.append(hello.json("deploy", "hello", folder, "--message", f"number {number}")["id"])
    return ids[0], ids[1]


def test_they_are_listed_the_newest_first_with_the_served_one_marked(
    hello: Keyboard, two: tuple[str, str]
) -> None:
    lines = hello.type("deployments", "list", "hello").stdout.splitlines()
    records = hello.json("deployments", "list", "hello")

    assert [record["id"] for record in records[:2]] == [two[1], two[0]]
    assert lines[1].startswith("*")
    assert two[1][:12] in lines[1]
    assert "succeeded" in lines[1]
    assert "number 1" in lines[2]


def test_one_is_shown_by_the_beginning_of_its_id(hello: Keyboard, two: tuple[str, str]) -> None:
    shown = hello.type("deployments", "show", "hello", two[0][:10]).stdout
    log = hello.type("deployments", "log", "hello", two[0]).stdout

    assert f"id            {two[0]}" in shown
    assert "  Copying file: 'app.py'" in log.splitlines()


def test_going_back_is_previewed_and_done(hello: Keyboard, two: tuple[str, str]) -> None:
    difference = hello.type("deployments", "diff", "hello", two[0]).stdout.splitlines()
    done = hello.type("deployments", "rollback", "hello", two[0])

    assert difference == ["+ only1.py", "- only2.py", "~ app.py"]
    assert done.stdout.startswith("http://hello.localhost:")
    assert sorted(path.name for path in hello.content.iterdir()) == ["app.py", "only1.py"]
    assert hello.json("deployments", "show", "hello", two[0])["active"] is True


def test_an_unknown_id_is_refused_with_the_command_that_lists_them(hello: Keyboard) -> None:
    done = hello.type("deployments", "rollback", "hello", "none", status=1)

    assert "homeport deployments list" in done.stderr
