"""Kudu's shapes of processes, without processes (Kudu reference §6)."""

import pytest
from conftest import ScmProcess
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.processes.shapes import filtered_environment, list_entry, readable_environment, time_span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "00:00:00"),
        (1.5, "00:00:01.5000000"),
        (3661, "01:01:01"),
        (86400 * 3 + 0.0000001, "3.00:00:00.0000001"),
    ],
)
def test_time_spans_are_written_as_dotnet_does(seconds: float, text: str) -> None:
    assert time_span(seconds) == text


def test_null_zero_and_false_members_are_left_out_but_for_the_three() -> None:
    entry = list_entry({"pid": 0, "name": "python.EXE"}, base="b", machine="", user="")

    assert entry == {"id": 0, "name": "python", "machineName": "", "href": "b/0", "user_name": ""}


def test_the_environment_is_filtered_by_part_of_the_name() -> None:
    environment = {"PATH": "1", "PYTHONPATH": "2", "HOME": "3"}

    assert filtered_environment(environment, "path") == {"PATH": "1", "PYTHONPATH": "2"}
    assert filtered_environment(environment, "ALL") == dict(sorted(environment.items()))


@given(st.dictionaries(st.text(), st.text()))
def test_no_app_setting_is_readable_to_others(settings: dict[str, str]) -> None:
    environment = {f"APPSETTING_{name}": value for name, value in settings.items()}

    assert readable_environment(environment) == {}


def test_without_an_agent_the_answer_says_so(shared_scm: ScmProcess) -> None:
    answer = shared_scm.client.get("/api/processes")

    assert answer.status_code == 503
    assert "agent" in answer.json()["Message"]
    assert shared_scm.client.get("/api/processes/none").status_code == 404
