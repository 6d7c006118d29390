"""`homeport xdt apply` as a person types it; it needs no platform."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.conftest import HOMEPORT, Keyboard

SOURCE = (
    "<configuration>\n  <appSettings>\n    <add key='A' value='1'/>\n  </appSettings>\n</configuration>\n"
)
TRANSFORM = """<configuration xmlns:xdt="http://schemas.microsoft.com/XML-Document-Transform">
  <appSettings>
    <add key="A" value="2" xdt:Transform="{}" xdt:Locator="Match(key)"/>
  </appSettings>
</configuration>
"""


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    source, transform = tmp_path / "web.config", tmp_path / "web.release.config"
    source.write_text(SOURCE)
    transform.write_text(TRANSFORM.format("SetAttributes"))
    return source, transform


def run(*words: str | Path, status: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run([HOMEPORT, "xdt", "apply", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == status, done.stderr
    return done


def test_the_change_is_shown_as_a_diff_and_nothing_is_written(files: tuple[Path, Path]) -> None:
    shown = run(*files).stdout.splitlines()
    assert "-    <add key='A' value='1'/>" in shown
    assert "+    <add key='A' value='2'/>" in shown
    assert files[0].read_text() == SOURCE


def test_the_result_goes_into_the_output_file(files: tuple[Path, Path]) -> None:
    run(*files, "--output", files[0])
    assert files[0].read_text() == SOURCE.replace("'1'", "'2'")


def test_the_file_keeps_its_encoding_and_its_mark(files: tuple[Path, Path]) -> None:
    data = ('<?xml version="1.0" encoding="utf-16"?>\r\n' + SOURCE).encode("utf-16")
    files[0].write_bytes(data)
    run(*files, "--output", files[0])
    assert files[0].read_bytes() == data.decode("utf-16").replace("'1'", "'2'").encode("utf-16")


def test_a_failing_transform_names_its_place_and_writes_nothing(files: tuple[Path, Path]) -> None:
    files[1].write_text(TRANSFORM.format("Marge"))
    done = run(*files, "--output", files[0], status=1)
    assert "web.release.config:3:28: error: Could not resolve 'Marge'" in done.stderr
    assert files[0].read_text() == SOURCE


def test_programs_get_json(files: tuple[Path, Path]) -> None:
    value = json.loads(run(*files, "--json").stdout)
    assert value["succeeded"]
    assert value["text"] == SOURCE.replace("'1'", "'2'")
    assert value["findings"] == []


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    done = run(tmp_path / "no.config", tmp_path / "no.xdt", status=1)
    assert "no.config' cannot be read" in done.stderr


def test_a_deployment_applies_the_configuration_that_is_asked_for(
    hello: Keyboard, files: tuple[Path, Path]
) -> None:
    done = hello.type("deploy", "hello", files[0].parent, "--configuration", "Release")
    assert "Applied web.release.config to web.config." in done.stderr
    assert "value='2'" in (hello.content / "web.config").read_text()


def test_a_configuration_that_cannot_be_applied_is_said_before_anything_is_sent(
    hello: Keyboard, files: tuple[Path, Path]
) -> None:
    folder = files[0].parent
    missing = hello.type("deploy", "hello", folder, "-c", "Debug", status=1)
    assert "There is no web.debug.config beside web.config" in missing.stderr
    wrong = hello.type("deploy", "hello", folder, "-c", "a b", status=1)
    assert "'a b' cannot be a configuration" in wrong.stderr
    (folder / ".deployment").write_text("[config]\n")
    own = hello.type("deploy", "hello", folder, "-c", "Release", status=1)
    assert "write SCM_BUILD_ARGS=/p:Configuration=Release there" in own.stderr
