"""`/api/logstream` (Kudu reference §9.1, §15 item 39)."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from conftest import ScmProcess


@contextmanager
def stream(scm: ScmProcess, path: str = "", **query: str) -> Iterator[Iterator[str]]:
    with scm.client.stream("GET", f"/api/logstream{path}", params=query) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/plain")
        lines = answer.iter_lines()
        assert re.match(
            r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d  Welcome, you are now connected to log-streaming service\. ",
            next(lines),
        )
        yield lines


def append(scm: ScmProcess, name: str, text: str) -> None:
    path = scm.home / "LogFiles" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(text)


def test_lines_appended_to_log_files_come_and_earlier_ones_do_not(scm: ScmProcess) -> None:
    append(scm, "wfastcgi.log", "before\n")

    with stream(scm) as lines:
        append(scm, "wfastcgi.log", "first\nsec")
        assert next(lines) == "first"
        append(scm, "wfastcgi.log", "ond\n")
        assert next(lines) == "second"
        append(scm, "Application/new.txt", "in a new file\n")
        assert next(lines) == "in a new file"


def test_other_extensions_are_left_out(scm: ScmProcess) -> None:
    with stream(scm) as lines:
        append(scm, "eventlog.xml", "<x/>\n")
        append(scm, "a.htm", "told\n")

        assert next(lines) == "told"


def test_a_filter_keeps_lines_without_regard_to_case(scm: ScmProcess) -> None:
    with stream(scm, filter="ERROR") as lines:
        append(scm, "a.log", "fine\nan Error here\n")

        assert next(lines) == "an Error here"


def test_a_folder_of_its_own_is_made_when_missing(scm: ScmProcess) -> None:
    with stream(scm, "/Application") as lines:
        append(scm, "a.log", "elsewhere\n")
        append(scm, "Application/a.log", "here\n")

        assert next(lines) == "here"


def test_a_file_written_anew_is_read_from_its_start(scm: ScmProcess) -> None:
    append(scm, "a.log", "a long line that was there before\n")

    with stream(scm) as lines:
        (scm.home / "LogFiles/a.log").write_text("short\n")

        assert next(lines) == "short"


def test_the_stream_ends_after_the_timeout(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(SCM_LOGSTREAM_TIMEOUT="1")

    with stream(scm) as lines:
        said = list(lines)

    assert "due to timeout" in said[-1]


def test_another_verb_is_400_and_a_way_out_is_refused(shared_scm: ScmProcess) -> None:
    assert shared_scm.client.post("/api/logstream").status_code == 400
    assert shared_scm.client.get("/api/logstream/..%2f..").status_code == 403
