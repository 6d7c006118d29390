import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from control.running import eventually

from .conftest import HOMEPORT, Keyboard

WEB_CONFIG = "<configuration/>"


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with an application."""
    folder = tmp_path / "myapp"
    (folder / "templates").mkdir(parents=True)
    (folder / "app.py").write_text("x = 1\n")
    (folder / "templates/page.html").write_text("<p>hi</p>")
    return folder


def test_a_folder_becomes_the_content_of_the_site(hello: Keyboard, app: Path) -> None:
    done = hello.type("deploy", "hello", app)

    assert done.stdout.startswith("http://hello.localhost:")
    assert (hello.content / "app.py").read_text() == "x = 1\n"
    assert (hello.content / "templates/page.html").exists()


def test_the_log_of_the_deployment_is_shown_with_what_stands_below_its_entries(
    hello: Keyboard, app: Path
) -> None:
    lines = hello.type("deploy", "hello", app).stderr.splitlines()

    assert any(line.startswith("Uploading 2 files") for line in lines)
    assert "  Copying file: 'app.py'" in lines
    assert lines[-1] == "Deployment successful."
    assert lines.count("Running deployment command...") == 1


def test_the_record_is_printed_as_json(hello: Keyboard, app: Path) -> None:
    record = hello.json("deploy", "hello", app, "--message", "first")

    assert (record["status"], record["message"]) == (4, "first")
    assert record["url"].startswith("http://hello.localhost:")


def test_a_zip_is_deployed_too(hello: Keyboard, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("from_zip.py", "")

    hello.type("deploy", "hello", tmp_path / "app.zip")

    assert (hello.content / "from_zip.py").exists()


def test_folders_of_tools_stay_at_home_and_that_is_said(hello: Keyboard, app: Path) -> None:
    for name in (".git", ".venv", "node_modules", "__pycache__", "env"):
        (app / name).mkdir()
        (app / name / "file").write_text("")

    done = hello.type("deploy", "hello", app)

    assert "Left out: .git/, .venv/, __pycache__/, node_modules/" in done.stderr
    assert sorted(path.name for path in hello.content.iterdir()) == ["app.py", "env", "templates"]


def test_a_build_is_asked_for_when_there_are_requirements(hello: Keyboard, app: Path) -> None:
    """Without a Python in the site it cannot succeed, and says which command adds one."""
    (app / "requirements.txt").write_text("flask\n")

    done = hello.type("deploy", "hello", app, status=1)

    assert "homeport extension add hello" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("homeport: The deployment failed")


def test_without_a_build_requirements_are_only_copied(hello: Keyboard, app: Path) -> None:
    (app / "requirements.txt").write_text("flask\n")

    hello.type("deploy", "hello", app, "--no-build")

    assert (hello.content / "requirements.txt").exists()


def test_a_deployment_file_of_ones_own_decides(hello: Keyboard, app: Path) -> None:
    (app / "requirements.txt").write_text("flask\n")
    (app / ".deployment").write_text("[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT = false\n")

    hello.type("deploy", "hello", app)


def test_clean_deletes_what_is_not_in_the_package(hello: Keyboard, app: Path) -> None:
    (hello.content / "uploaded.txt").write_text("by hand")

    hello.type("deploy", "hello", app)
    kept = (hello.content / "uploaded.txt").exists()
    hello.type("deploy", "hello", app, "--clean")

    assert (kept, (hello.content / "uploaded.txt").exists()) == (True, False)


def test_a_package_that_the_site_refuses_fails_with_its_reason(hello: Keyboard, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
        archive.writestr("../outside.py", "")

    done = hello.type("deploy", "hello", tmp_path / "evil.zip", status=1)

    assert "../outside.py" in done.stderr
    assert not (hello.home / "site/outside.py").exists()


def test_an_empty_folder_is_not_deployed(hello: Keyboard, tmp_path: Path) -> None:
    assert "holds no file to deploy" in hello.type("deploy", "hello", tmp_path, status=1).stderr


def test_what_is_no_zip_is_said(hello: Keyboard, tmp_path: Path) -> None:
    (tmp_path / "app.tar").write_text("not a zip")

    done = hello.type("deploy", "hello", tmp_path / "app.tar", status=1)

    assert "neither a folder nor a zip file" in done.stderr


def test_the_last_lines_of_each_log_are_shown(hello: Keyboard) -> None:
    (hello.home / "LogFiles/Application").mkdir(exist_ok=True)
    (hello.home / "LogFiles/wfastcgi.log").write_text("".join(f"line {n}\n" for n in range(100)))
    (hello.home / "LogFiles/Application/app.txt").write_text("hi\n")
    (hello.home / "LogFiles/picture.png").write_text("no log\n")

    shown = hello.type("logs", "hello", "--lines", "2").stdout.splitlines()

    assert "line 98" in shown
    assert "line 97" not in shown
    assert "==> LogFiles/Application/app.txt <==" in shown
    assert "no log" not in shown


def test_a_log_cannot_steer_the_terminal(hello: Keyboard) -> None:
    (hello.home / "LogFiles/app.log").write_text("a\x1b]0;title\x07b\x1b[2Jc\x1b[31md\n")

    assert hello.type("logs", "hello").stdout.splitlines()[-1] == "abcd"


def test_log_lines_are_json_on_request(hello: Keyboard) -> None:
    (hello.home / "LogFiles/app.log").write_text("one\n")

    lines = [json.loads(line) for line in hello.type("logs", "hello", "--json").stdout.splitlines()]

    assert lines == [{"file": "LogFiles/app.log", "line": "one"}]


def test_following_shows_new_lines_as_they_come(hello: Keyboard) -> None:
    log = hello.home / "LogFiles/app.log"
    log.write_text("old\n")
    process = subprocess.Popen(
        [HOMEPORT, "logs", "hello", "--follow"], env=hello.environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert "Welcome" in process.stdout.readline()

    with log.open("a") as file:
        file.write("new\n")

    assert process.stdout.readline().endswith("new\n")
    process.terminate()
    eventually(lambda: process.poll() is not None)
    process.stdout.close()
