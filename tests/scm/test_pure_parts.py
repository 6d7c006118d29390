"""The parts of the SCM site that compute: conditions, KuduSync, purge, logs, `.deployment`, lenient JSON, times."""

import asyncio
import contextlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.errors import Conflict
from homeport.scm.application import build_application
from homeport.scm.deployments.copying import prepare_sync, run_sync
from homeport.scm.deployments.dot_deployment import parse_dot_deployment
from homeport.scm.deployments.endpoint import retry_seconds
from homeport.scm.deployments.kudusync import Item, Kind, is_ignored, plan_sync
from homeport.scm.deployments.log import DeploymentLog
from homeport.scm.deployments.log import Kind as LogKind
from homeport.scm.deployments.record import DeploymentRecord, Status, parse_status, render_status
from homeport.scm.deployments.store import read_manifest, to_purge, write_manifest
from homeport.scm.dotnet_time import offset_text, read_utc, utc_text
from homeport.scm.http.boundary import Boundary
from homeport.scm.http.lenient_json import parse_lenient
from homeport.scm.options import options_from_environment
from homeport.scm.settings.stack import Settings
from homeport.scm.vfs.conditions import Span, entity_tag, matches, parse_ranges
from homeport.webconfig.scm_site import RESERVED

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def record(identity: str, *, age: int = 0, status: Status = Status.SUCCESS) -> DeploymentRecord:
    done = status.final
    return DeploymentRecord(
        id=identity,
        status=status,
        received=NOW - timedelta(minutes=age),
        start=NOW,
        complete=done,
        end=NOW if done else None,
        last_success_end=NOW if status is Status.SUCCESS else None,
    )


# Conditions


@given(st.integers(0, 2**62))
def test_tags_differ_when_times_differ_by_a_tick(nanoseconds: int) -> None:
    assert entity_tag(nanoseconds) != entity_tag(nanoseconds + 100)
    assert len(entity_tag(nanoseconds)) == 18


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, False),
        ("*", True),
        ('"a"', True),
        ('"b", "a"', True),
        ('W/"a"', False),
        ("a", False),
        ("", False),
        ('"b"', False),
    ],
)
def test_a_condition_names_a_tag(header: str | None, expected: bool) -> None:
    assert matches(header, '"a"') is expected


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=5), st.integers(0, 40)
)
def test_spans_lie_within_the_file(ranges: list[tuple[int, int]], length: int) -> None:
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in ranges)

    spans = parse_ranges(header, length)

    if any(last < first for first, last in ranges):
        assert spans is None
    else:
        assert spans == [Span(first, min(last, length - 1)) for first, last in ranges if first < length]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=-5", [Span(5, 9)]),
        ("bytes=-50", [Span(0, 9)]),
        ("bytes=-0", []),
        ("bytes=10-", []),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes", None),
    ],
)
def test_open_ranges(header: str, expected: list[Span] | None) -> None:
    assert parse_ranges(header, 10) == expected


def test_too_many_ranges_are_no_range_request() -> None:
    assert parse_ranges("bytes=" + ",".join(["0-1"] * 101), 10) is None


# Times


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_survive_a_round_trip(moment: datetime) -> None:
    assert read_utc(utc_text(moment)) == moment


def test_seven_digits_with_zeros_dropped() -> None:
    assert offset_text(1_700_000_000_123_456_799) == "2023-11-14T22:13:20.1234567+00:00"
    assert offset_text(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12+00:00"
    assert offset_text(1_700_000_000_000_000_000) == "2023-11-14T22:13:20+00:00"
    assert read_utc("2023-11-14T22:13:20.1234567Z") == datetime(2023, 11, 14, 22, 13, 20, 123456, UTC)


# JSON


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_strict_json_is_read_as_json(value: object) -> None:
    assert parse_lenient(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{'a': 'b'}", {"a": "b"}),
        (r"{'a': 'it\'s \"x\"'}", {"a": 'it\'s "x"'}),
        ("{a: true, b: null, c: [1, 2,],}", {"a": True, "b": None, "c": [1, 2]}),
        (r"{'dir': '\\home\\python361x64'}", {"dir": r"\home\python361x64"}),
        ("{\"a\": 'x, y: z'}", {"a": "x, y: z"}),
    ],
)
def test_what_newtonsoft_reads_besides(text: str, expected: object) -> None:
    assert parse_lenient(text) == expected


@given(st.text(st.sampled_from("{}[]'\",:ab\\ 1"), max_size=20))
def test_anything_else_is_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        parse_lenient(text)


# KuduSync

FILE = Item(kind=Kind.FILE, modified_ns=1)
FOLDER = Item(kind=Kind.FOLDER)
PATHS = st.sampled_from(["a", "b", "a/x", "a/y", "b/x", "c", "web.config"])


def tree(paths: set[str], *, at: int = 1) -> dict[str, Item]:
    """Make a tree of files with the folders above them; a file below a file makes a folder of it."""
    found = {path: Item(kind=Kind.FILE, modified_ns=at) for path in paths}
    for path in paths:
        parent = path.rpartition("/")[0]
        if parent:
            found[parent] = FOLDER
    return found


def applied(target: dict[str, Item], source: dict[str, Item], **how: object) -> dict[str, Item]:
    plan = plan_sync(source, target, differs=lambda _: True, **how)  # type: ignore[arg-type]
    left = dict(target)
    for path in plan.remove_files:
        del left[path]
    for path in plan.remove_folders:
        if not any(other.startswith(f"{path}/") for other in left):
            del left[path]
    for path in plan.make_folders:
        left[path] = FOLDER
    for path in plan.copy:
        assert left.get(path, FILE).kind is Kind.FILE
        left[path] = source[path]
    return left


@given(st.sets(PATHS), st.sets(PATHS))
def test_a_mirror_ends_as_the_source(old: set[str], new: set[str]) -> None:
    source = tree(new, at=2)

    assert applied(tree(old), source, previous=set(), mirror=True) == source


@given(st.sets(PATHS), st.sets(PATHS), st.sets(PATHS))
def test_a_sync_keeps_foreign_files_removes_ours_and_is_then_at_rest(
    deployed: set[str], foreign: set[str], new: set[str]
) -> None:
    target, source = tree(deployed | foreign), tree(new, at=2)
    ours = set(tree(deployed))
    try:
        left = applied(target, source, previous=ours, mirror=False)
    except Conflict:
        return

    for path, item in source.items():
        assert left[path] == item
    for path, item in target.items():
        if path not in ours and path not in source:
            assert left[path] == item
        if path in ours and item.kind is Kind.FILE and path not in source:
            assert path not in left
    again = plan_sync(source, left, previous=set(source), mirror=False, differs=lambda _: False)
    assert (again.copy, again.remove_files, again.make_folders, again.remove_folders) == ((), (), (), ())


def test_web_config_comes_last_and_only_when_it_differs() -> None:
    source = dict.fromkeys(("web.config", "z.py", "sub/Web.Config"), FILE)

    plan = plan_sync(source, {}, previous=(), mirror=False, differs=lambda _: False)
    same = plan_sync(source, dict(source), previous=(), mirror=False, differs=lambda _: False)

    assert plan.copy == ("z.py", "sub/Web.Config", "web.config")
    assert same.copy == ()


def test_a_new_folder_is_moved_whole_unless_something_of_it_stays_behind() -> None:
    source = {
        **tree({"there/new/x", "plain/deep/y", "partly/deep/z"}),
        **dict.fromkeys(("there/new", "plain", "plain/deep", "partly", "partly/deep", "partly/.git"), FOLDER),
        **dict.fromkeys(("there", "linked"), FOLDER),
        "linked/elsewhere": Item(kind=Kind.FOLDER_LINK),
    }

    plan = plan_sync(source, {"there": FOLDER}, previous=(), mirror=False, differs=lambda _: True)

    assert plan.whole == {"there/new", "plain", "plain/deep", "partly/deep"}


def test_moved_folders_leave_ignored_files_behind_and_the_log_names_every_file(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    for path in ("new/deep/a", "new/b", "partly/.git/c", "partly/deep/d", "there/e"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        (source / path).write_text(path)
    (target / "there").mkdir(parents=True)
    (target / "there/own").write_text("the site's")
    said: list[str] = []

    plan = prepare_sync(source, target, previous=(), mirror=False)
    run_sync(plan, source, target, say=said.append)

    deployed = ["new/b", "new/deep/a", "partly/deep/d", "there/e"]
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*") if path.is_file())
    assert files == [*deployed, "there/own"]
    assert said == [*(f"Copying file: '{path}'" for path in deployed), "Finished successfully."]
    assert prepare_sync(target, target, previous=plan.manifest, mirror=False).copy == ()


def test_a_folder_that_the_site_made_meanwhile_takes_the_files_of_the_deployment(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "new").mkdir(parents=True)
    (source / "new/a").write_text("deployed")
    target.mkdir()

    plan = prepare_sync(source, target, previous=(), mirror=False)
    (target / "new").mkdir()
    (target / "new/own").write_text("the site's")
    run_sync(plan, source, target, say=lambda _: None)

    assert sorted(path.name for path in (target / "new").iterdir()) == ["a", "own"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".git/config", True),
        ("a/.GIT", True),
        (".deployment", True),
        ("deploy.cmd", True),
        (".github", False),
    ],
)
def test_ignored_names(path: str, expected: bool) -> None:
    assert is_ignored(path) is expected


# Records


def test_legal_lives_of_a_record() -> None:
    building = record("a", status=Status.PENDING).moved(Status.BUILDING, text="", at=NOW)
    done = building.moved(Status.DEPLOYING, text="", at=NOW).moved(Status.SUCCESS, text="", at=NOW)

    assert (done.complete, done.end, done.last_success_end) == (True, NOW, NOW)
    with pytest.raises(AssertionError):
        done.moved(Status.BUILDING, text="", at=NOW)


@given(st.text(), st.text(), st.sampled_from(Status))
def test_status_xml_is_well_formed_whatever_the_texts(message: str, author: str, status: Status) -> None:
    written = replace(record("a1", status=status), message=message, author=author)

    found = parse_status(render_status(written))

    assert found is not None
    assert replace(found, message=None, author=None) == replace(written, message=None, author=None)


@pytest.mark.parametrize(
    "data", [b"", b"<deployment/>", b"<a>", b"<deployment><id>a</id><status>Odd</status></deployment>"]
)
def test_a_broken_status_file_is_no_record(data: bytes) -> None:
    assert parse_status(data) is None


def test_ten_successes_the_active_one_and_what_runs_are_kept() -> None:
    records = [record(str(age), age=age) for age in range(14)]

    assert to_purge(records, active="12") == ["10", "11", "13"]
    running = [record("now", status=Status.BUILDING), *records[:3]]
    assert to_purge(running, active=None) == []


def test_a_failure_is_kept_only_as_the_newest_record() -> None:
    newest = [
        record("f1", status=Status.FAILED),
        record("f2", age=1, status=Status.FAILED),
        record("s", age=2),
    ]

    assert to_purge(newest, active=None) == ["f2"]
    assert to_purge([record("s"), record("f", age=1, status=Status.FAILED)], active=None) == ["f"]


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 30), ("", 30), ("5", 10), ("60", 60), ("x", 30), ("-1", 30)]
)
def test_clients_are_asked_to_wait_ten_seconds_at_least(text: str | None, seconds: int) -> None:
    assert retry_seconds(text) == seconds


# Logs, manifests, settings


@given(
    messages=st.lists(st.tuples(st.text(max_size=30), st.sampled_from(LogKind), st.booleans()), max_size=6)
)
def test_a_log_is_read_as_it_was_written(
    messages: list[tuple[str, LogKind, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    log = DeploymentLog(tmp_path_factory.mktemp("log") / "log.log")
    log.entry("first")
    for message, kind, top in messages:
        (log.entry if top else log.child)(message, kind)

    entries = log.read()

    flat = [found for entry in entries for found in (entry, *entry.children)][1:]
    assert [entry.kind for entry in flat] == [kind for _, kind, _ in messages]
    for entry, (message, _, top) in zip(flat, messages, strict=True):
        assert bool(entry.id) is top
        if not set(message) & set("\r&") and message.isprintable():
            assert entry.message == message


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log.log")
    log.entry("one, two\tthree\nfour")
    with (tmp_path / "log.log").open("a") as file:
        file.write("\t2026-01-01T00:00:00Z,half")

    assert [entry.message for entry in log.read()] == ["one, two\tthree\nfour"]


def test_a_log_that_begins_anew_is_empty_for_whoever_reads_it(tmp_path: Path) -> None:
    log = DeploymentLog(tmp_path / "log.log")
    log.entry("the first attempt")
    log.clear()

    assert log.read() == []


def test_a_manifest_with_windows_separators_and_ways_out(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_bytes(b"\xef\xbb\xbfa\\b.txt\r\n../../etc\r\n/abs\n\n..\nc\n")

    assert read_manifest(tmp_path / "manifest") == {"a/b.txt", "abs", "c"}
    write_manifest(tmp_path / "manifest", ["b", "a"])
    assert read_manifest(tmp_path / "manifest") == {"a", "b"}
    assert read_manifest(tmp_path / "none") is None


def test_dot_deployment_is_an_ini_file() -> None:
    text = "\ufeff; comment\n[other]\nx = 1\n[CONFIG]\nProject = a b \n#no\ncommand=deploy.cmd -x=1\nbroken\n"

    assert parse_dot_deployment(text.encode()) == {"Project": "a b", "command": "deploy.cmd -x=1"}


def test_stronger_layers_win_without_regard_to_case() -> None:
    merged = Settings({"NAME": "strong"}, {"name": "weak", "other": "1"}, {"OTHER": "0", "empty": ""})

    assert (merged.get("Name"), merged.get("other"), merged.get("empty")) == ("strong", "1", None)
    assert merged.all() == {"NAME": "strong", "other": "1", "empty": ""}
    assert merged.flag("other", default=False) is True
    assert merged.number("name", default=7) == 7


def test_every_address_of_the_scm_site_is_kept_from_applications_of_extensions(tmp_path: Path) -> None:
    options = options_from_environment({"HOME": str(tmp_path)})
    application = build_application(options, stopping=asyncio.Event())
    beginnings = {
        re.match(r"(?:\(\?:/api\)\?)?/((?:[\w.-]|\\[.-])*)", route.pattern.pattern)
        for route in cast("Boundary", application.asgi)._routes
    }
    names = {match[1].replace("\\", "").lower() for match in beginnings if match}

    assert {"vfs", "debugconsole", "deploy", "git-receive-pack"} <= names
    assert names - {""} <= RESERVED
    assert None not in beginnings
