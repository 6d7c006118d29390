"""From nginx's lines to metrics and access logs."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from homeport.model.site import SiteConfig
from homeport.node.access_logs import FOLDER, AccessLog, w3c_line
from homeport.node.nginx.access_log import FULL_FIELDS
from homeport.node.nginx.rule_names import RuleName
from homeport.node.request_accounting import RequestAccounting
from homeport.node.request_log import RequestLog
from homeport.node.request_metrics import MOST_RULES, RequestMetrics
from homeport.node.tenant_files import TenantTree

SHORT = b'hello.localhost"200"0.031"1000"100"handlers/Python%20Handler / wsgi-1'
REST = b'"unix:/run/s/hello.wsgi-1.sock"1700000000.5"GET /a%20b?x=1 HTTP/1.1"/a%20b?x=1"8080"-"192.0.2.1"curl 8"-"-"hello.localhost:8080"-'

PYTHON = RuleName(rule="handlers/Python Handler", folder="/", pool="wsgi-1")


class Site:
    def __init__(self) -> None:
        self.name = "hello"
        self.lines: list[Sequence[str]] = []

    def log_requests(self, lines: Sequence[Sequence[str]]) -> None:
        self.lines += lines


def take(*lines: bytes) -> tuple[RequestMetrics, Site]:
    metrics, site = RequestMetrics(), Site()
    RequestAccounting(metrics, site_of={"hello.localhost": site}.get).take(lines)
    return metrics, site


# Counting


def test_requests_are_counted_by_site_rule_and_status() -> None:
    metrics, site = take(
        SHORT, SHORT.replace(b"200", b"503"), b'hello.localhost"404"0.000"5"7"', b'other.localhost"200"0"1"1"'
    )

    worker, none = metrics.as_json()
    assert (worker["rule"], worker["folder"], worker["pool"]) == ("handlers/Python Handler", "/", "wsgi-1")
    assert worker["statuses"] == {"2xx": 1, "5xx": 1}
    assert (worker["bytes_sent"], worker["bytes_received"], worker["seconds"]) == (2000, 200, 0.062)
    assert (none["rule"], none["folder"], none["pool"]) == ("none", "", "static")
    assert (none["requests"], none["statuses"]) == (1, {"4xx": 1})
    assert site.lines == []


def test_an_answer_that_is_no_http_is_a_bad_gateway() -> None:
    metrics, site = take(SHORT.replace(b"200", b"009"), (SHORT + REST).replace(b"200", b"009", 1))

    assert [each["statuses"] for each in metrics.as_json()] == [{"5xx": 2}]
    assert w3c_line("hello", site.lines[0]).split(" ")[13:15] == ["502", "3"]


def test_a_site_that_thinks_of_ever_new_names_stays_small() -> None:
    lines = [SHORT.replace(b"Python", f"{at}-{'x' * 50}".encode()) for at in range(10 * MOST_RULES)]
    metrics, _ = take(*lines, SHORT)

    counts = metrics.as_json()
    others = [each for each in counts if each["rule"] == "other"]
    assert (len(counts), len(others)) == (MOST_RULES + 1, 1)
    assert sum(int(str(each["requests"])) for each in counts) == len(lines) + 1
    assert len(metrics.exposition({})) < 500_000

    metrics.forget(["hello"])
    RequestAccounting(metrics, site_of={"hello.localhost": Site()}.get).take(lines[-1:])
    assert [each["rule"] for each in metrics.as_json()] != ["other"]


@given(st.binary(max_size=200).filter(lambda data: b"\n" not in data))
def test_no_line_stops_the_others(line: bytes) -> None:
    metrics, _ = take(line, SHORT)

    assert metrics.tallies["hello", PYTHON].requests >= 1


def test_prometheus_reads_what_is_exposed() -> None:
    hostile = RuleName(rule='handlers/a"} 1\\\n# x', folder="/é{}\\/", pool="static")
    metrics, _ = take(SHORT, SHORT, SHORT.replace(PYTHON.written().encode(), hostile.written().encode()))

    families = {each.name: each for each in text_string_to_metric_families(metrics.exposition({"hello": 3}))}

    count, odd = families["homeport_requests"].samples
    labels = {"site": "hello", "rule": "handlers/Python Handler", "folder": "/", "pool": "wsgi-1"}
    assert (count.labels, count.value) == (labels | {"status": "2xx"}, 2)
    assert (odd.labels["rule"], odd.labels["folder"]) == ('handlers/a"} 1\\?# x', hostile.folder)
    buckets = {
        each.labels["le"]: each.value
        for each in families["homeport_request_seconds"].samples
        if "le" in each.labels and each.labels["pool"] == "wsgi-1"
    }
    assert (buckets["0.025"], buckets["0.05"], buckets["+Inf"]) == (0, 2, 2)
    assert [each.value for each in families["homeport_processes"].samples] == [3]


def test_a_site_that_is_gone_is_not_counted_on() -> None:
    metrics, _ = take(SHORT)
    metrics.forget(["hello"])

    assert metrics.as_json() == []


# Reading the file


def log_of(path: Path, taken: list[bytes], reopened: list[None]) -> RequestLog:
    return RequestLog(path, handle=taken.extend, reopen=lambda: reopened.append(None))


def test_lines_are_taken_once_whole_and_across_a_restart(tmp_path: Path) -> None:
    path, taken = tmp_path / "requests.log", list[bytes]()
    log = log_of(path, taken, [])
    asyncio.run(log.read())
    path.write_bytes(b"one\ntw")
    asyncio.run(log.read())
    with path.open("ab") as file:
        file.write(b"o\nthree\n")

    asyncio.run(log_of(path, taken, []).read())

    assert taken == [b"one", b"two", b"three"]


def test_a_full_file_is_followed_by_another_without_losing_a_line(tmp_path: Path) -> None:
    path, taken, reopened = tmp_path / "requests.log", list[bytes](), list[None]()
    line = b"x" * 1023 + b"\n"
    path.write_bytes(line * 17_000)
    log = log_of(path, taken, reopened)

    with path.open("ab") as nginx:
        asyncio.run(log.read())
        assert (len(reopened), path.exists()) == (1, False)
        nginx.write(b"last in the old\n")
    asyncio.run(log.read())
    assert len(reopened) == 2  # it is asked again while it has not made the new file
    path.write_bytes(b"first in the new\n")
    asyncio.run(log.read())

    assert (len(taken), taken[-2:]) == (17_002, [b"last in the old", b"first in the new"])
    assert not (tmp_path / "requests.log.old").exists()


# Access logs


def fields(**others: str) -> list[str]:
    line = dict(zip(FULL_FIELDS, (SHORT + REST).decode().split('"'), strict=True))
    return list((line | others).values())


def access_log(home: Path) -> AccessLog:
    return AccessLog(TenantTree(home), "hello", instance="0123456789", owner=None)


def test_a_request_is_a_line_with_app_services_fields(tmp_path: Path) -> None:
    metrics, site = take(SHORT + REST)
    access_log(tmp_path).append(site.lines, SiteConfig())

    (file,) = (tmp_path / FOLDER).iterdir()
    software, names, line = file.read_text().splitlines()
    assert (file.name[:7], software) == ("012345-", "#Software: Homeport")
    assert dict(zip(names.split()[1:], line.split(" "), strict=True)) == {
        "date": "2023-11-14",
        "time": "22:13:20",
        "s-sitename": "HELLO",
        "cs-method": "GET",
        "cs-uri-stem": "/a%20b",
        "cs-uri-query": "x=1",
        "s-port": "8080",
        "cs-username": "-",
        "c-ip": "192.0.2.1",
        "cs(User-Agent)": "curl+8",
        "cs(Cookie)": "-",
        "cs(Referer)": "-",
        "cs-host": "hello.localhost:8080",
        "sc-status": "200",
        "sc-substatus": "0",
        "sc-win32-status": "0",
        "sc-bytes": "1000",
        "cs-bytes": "100",
        "time-taken": "31",
    }
    assert metrics.tallies["hello", PYTHON].requests == 1


@pytest.mark.parametrize(
    ("status", "noted", "uri", "upstream", "expected"),
    [
        ("404", "8", "/bin/", "-", "8"),
        ("404", "-", "/", "unix:/s/x.sock", "0"),
        ("403", "-", "/folder/?a", "-", "14"),
        ("403", "-", "/folder/", "unix:/s/x.sock", "0"),
        ("403", "6", "/", "-", "6"),
        ("200", "8", "/page", "-", "0"),
        ("502", "3", "/", "127.0.0.1:1", "3"),
        ("404", "x y", "/", "-", "0"),
    ],
)
def test_the_sub_status_is_the_servers_own(
    status: str, noted: str, uri: str, upstream: str, expected: str
) -> None:
    line = fields(status=status, homeport_sub_status=noted, request_uri=uri, upstream_addr=upstream)

    assert w3c_line("hello", line).split(" ")[14] == expected


@pytest.mark.parametrize("place", ["LogFiles", "LogFiles/http", FOLDER])
def test_a_link_laid_by_the_site_leads_nowhere(place: str, tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    outside.mkdir()
    (outside / "old.log").write_text("of somebody else")
    (home / place).parent.mkdir(parents=True)
    (home / place).symlink_to(outside)

    access_log(home).append([fields()], SiteConfig(http_log_days=1))

    assert [path.name for path in outside.rglob("*")] == ["old.log"]


def test_links_and_fifos_among_the_logs_are_neither_opened_nor_removed(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    (folder / "a.log").symlink_to("/etc/passwd")
    os.mkfifo(folder / "b.log")

    access_log(tmp_path).append([fields()], SiteConfig(http_log_megabytes=1))

    assert len(list(folder.iterdir())) == 3


def test_the_oldest_go_when_there_is_no_room_and_when_they_are_too_old(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir(parents=True)
    for name, size in (("012345-1.log", 600_000), ("012345-2.log", 300_000), ("012345-3.log", 300_000)):
        (folder / name).write_bytes(b"x" * size)
    (folder / "notes.txt").write_text("the owner's own")
    access_log(tmp_path).append([fields()], SiteConfig(http_log_megabytes=1))
    assert {"012345-2.log", "012345-3.log", "notes.txt"} < {path.name for path in folder.iterdir()}
    assert not (folder / "012345-1.log").exists()

    ago = time.time() - 3 * 86400
    os.utime(folder / "012345-2.log", (ago, ago))
    access_log(tmp_path).append([fields()], SiteConfig(http_log_days=2))
    assert not (folder / "012345-2.log").exists()
    assert (folder / "012345-3.log").exists()


def test_a_burst_fills_one_file_after_another_and_keeps_the_newest_requests(tmp_path: Path) -> None:
    log, config = access_log(tmp_path), SiteConfig(http_log_megabytes=1)
    for batch in range(8):
        log.append([fields(request_uri=f"/{batch}/{number}?{'x' * 900}") for number in range(300)], config)

    files = sorted((tmp_path / FOLDER).iterdir())
    lines = [line for file in files for line in file.read_text().splitlines() if not line.startswith("#")]
    asked = [line.split(" ")[4] for line in lines]
    everything = [f"/{batch}/{number}" for batch in range(8) for number in range(300)]
    assert asked == everything[-len(asked) :]
    assert 512 * 1024 < sum(file.stat().st_size for file in files) < 1024 * 1024 + 2048


def test_what_is_too_old_goes_without_a_visitor(tmp_path: Path) -> None:
    log, config = access_log(tmp_path), SiteConfig(http_log_days=2)
    log.tidy(config)  # there is no folder yet
    log.append([fields()], config)
    (file,) = (tmp_path / FOLDER).iterdir()
    log.tidy(config)
    assert file.exists()
    ago = time.time() - 3 * 86400
    os.utime(file, (ago, ago))
    log.tidy(config)
    assert not file.exists()
