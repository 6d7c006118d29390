"""`homeport xdt apply` as a person types it; it needs no platform."""

import json
import subprocess
from pathlib import Path

import pytest

from cli.conftest import HOMEPORT

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
