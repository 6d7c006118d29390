"""The pages as a browser gets them (Kudu reference §10); what they do in one is in `tests/browser`."""

import base64
import json
import zlib
from collections.abc import Callable
from urllib.parse import quote

import pytest
from conftest import ScmProcess
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.browser.log_events import make_cursor, read_cursor
from homeport.scm.browser.process_tree import process_tree

HOSTILE = "<img src=x onerror=alert(1)>.txt"
PAGES = [
    "/",
    "/DebugConsole",
    "/DebugConsole/?shell=powershell",
    "/files/",
    "/Env",
    "/failures/none",
    "/LogStream",
    "/DeploymentCenter",
    "/DeploymentCenter/none",
    "/ZipDeployUI",
    "/SiteExtensions",
    "/SiteExtensions/x",
]


@pytest.mark.parametrize("address", PAGES)
def test_pages_take_nothing_from_elsewhere_and_are_never_framed(shared_scm: ScmProcess, address: str) -> None:
    headers = shared_scm.client.get(address).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("address", PAGES)
def test_pages_need_no_inline_script(shared_scm: ScmProcess, address: str) -> None:
    text = shared_scm.client.get(address).text

    assert "<script>" not in text
    assert " onclick=" not in text
    assert " style=" not in text
    assert "https://" not in text


@pytest.mark.parametrize(
    ("shell", "shown"), [("cmd", "cmd"), ("powershell", "cmd"), ("bash", "bash"), ("x", "cmd")]
)
def test_the_old_addresses_choose_the_shell(shared_scm: ScmProcess, shell: str, shown: str) -> None:
    page = shared_scm.client.get(f"/debugconsole/?shell={shell}")

    assert page.status_code == 200
    assert f'data-shell="{shown}"' in page.text
    assert ("no PowerShell" in page.text) is (shell == "powershell")


def test_the_home_page_answers_callers_that_name_an_api_version_with_an_empty_list(
    shared_scm: ScmProcess,
) -> None:
    assert shared_scm.client.get("/?api-version=2018-02-01").json() == []


@pytest.mark.parametrize(
    ("old", "new"),
    [("/Env.cshtml", "/Env"), ("/basicauth", "/"), ("/webssh/host", "/DebugConsole?shell=bash")],
)
def test_old_addresses_lead_to_the_new_pages(shared_scm: ScmProcess, old: str, new: str) -> None:
    answer = shared_scm.client.get(old)

    assert (answer.status_code, answer.headers["location"]) == (302, new)


def test_assets_are_ours_alone(shared_scm: ScmProcess) -> None:
    client = shared_scm.client
    page = client.get("/DebugConsole").text
    address = next(part for part in page.split('"') if part.endswith("/console.js"))

    assert client.get(address).headers["content-type"] == "text/javascript; charset=utf-8"
    for outside in ("/assets/x/../assets.py", "/assets/x/..%2fpages.py", "/assets/x/LICENSE", "/assets/"):
        assert client.get(outside).status_code == 404


def test_file_names_are_text_wherever_they_are_shown(scm: ScmProcess) -> None:
    (scm.web_root / HOSTILE).write_text("x")
    (scm.web_root / "a\"b'c").mkdir()

    for address in ("/files/site/wwwroot/", "/DebugConsole?path=site/wwwroot", "/files/?search=onerror"):
        text = scm.client.get(address).text
        assert "<img src=x" not in text
        assert "&lt;img src=x onerror=alert(1)&gt;.txt" in text
    assert f'href="/api/vfs/site/wwwroot/{quote(HOSTILE)}"' in text.replace("/files/", "/api/vfs/")


def test_a_name_that_is_not_unicode_can_be_listed_and_opened(scm: ScmProcess) -> None:
    (scm.web_root / "caf\udce9.txt").write_text("x")

    page = scm.client.get("/files/site/wwwroot/").text

    assert 'href="/api/vfs/site/wwwroot/caf%E9.txt"' in page
    assert scm.client.get("/api/vfs/site/wwwroot/caf%E9.txt").text == "x"


def test_folders_come_first_and_search_looks_below(scm: ScmProcess) -> None:
    for name in ("b.txt", "Zoo/keeper.txt", "a.txt"):
        path = scm.web_root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)

    listed = scm.client.get("/files/site/wwwroot/?fragment=true").text
    found = scm.client.get("/files/?fragment=true&search=KEEPER").text

    assert listed.index("Zoo") < listed.index("a.txt") < listed.index("b.txt")
    assert "/api/vfs/site/wwwroot/Zoo/keeper.txt" in found
    assert "a.txt" not in found


@pytest.mark.parametrize("path", ["/files/none/", "/files/site/wwwroot/app.py/"])
def test_what_is_no_folder_is_not_found(shared_scm: ScmProcess, path: str) -> None:
    assert shared_scm.client.get(path).status_code == 404


def rename(scm: ScmProcess, source: str, target: str) -> int:
    return scm.client.post("/api/homeport/rename", json={"from": source, "to": target}).status_code


def test_renaming_never_overwrites_and_never_leaves_home(scm: ScmProcess) -> None:
    (scm.web_root / "old.txt").write_text("old")
    (scm.web_root / "taken.txt").write_text("taken")
    (scm.web_root / "out").symlink_to("/etc")

    assert rename(scm, "/site/wwwroot/old.txt", "/site/wwwroot/taken.txt") == 409
    assert rename(scm, "/site/wwwroot/old.txt", "/site/wwwroot/out/x") == 403
    assert rename(scm, "/site/wwwroot/out/passwd", "/site/wwwroot/x") == 403
    assert rename(scm, "/site/wwwroot/none", "/site/wwwroot/x") == 404
    assert rename(scm, "/", "/x") == 400
    assert rename(scm, "/site/wwwroot/old.txt", "/site/wwwroot/new.txt") == 204
    assert {path.name for path in scm.web_root.iterdir()} == {"new.txt", "taken.txt", "out"}
    assert (scm.web_root / "taken.txt").read_text() == "taken"


def test_secrets_are_not_in_the_environment_page_until_asked_for(start_scm) -> None:  # type: ignore[no-untyped-def]
    scm = start_scm(DB_URL="postgres://u:hunter2@db", SQLCONNSTR_main="Server=x;Password=hunter3")

    page = scm.client.get("/Env").text
    revealed = scm.client.get("/Env?values=true").text

    assert "DB_URL" in page
    assert "main" in page
    assert "hunter" not in page
    assert "hunter2" in revealed
    assert "hunter3" in revealed


def test_a_deployments_page_shows_its_log_as_text(scm: ScmProcess) -> None:
    scm.deploy({"index.html": "x", "<b>bold.txt": "x"}, message="<i>first</i>")
    identity = scm.latest()["id"]

    page = scm.client.get(f"/DeploymentCenter/{identity}").text

    assert "&lt;i&gt;first&lt;/i&gt;" in page
    assert "<i>first" not in page
    assert "<b>bold" not in page
    assert 'data-complete="yes"' in page
    assert identity in scm.client.get("/DeploymentCenter").text
    assert identity in scm.client.get("/").text


class Events:
    """A reader of the log's events that goes on where it was."""

    def __init__(self, scm: ScmProcess) -> None:
        self.scm = scm
        self.cursor = ""
        self.lines: list[str] = []

    def read(self, until: str, *, first: Callable[[], object] = lambda: None) -> None:
        """Read until a line holds `until`; `first` runs once the stream is open."""
        headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
        with self.scm.client.stream("GET", "/api/homeport/logs", headers=headers) as answer:
            for line in answer.iter_lines():
                if line.startswith("id: "):
                    self.cursor = line[4:]
                elif line.startswith("data: "):
                    first()
                    first = lambda: None  # noqa: E731
                    self.lines += [each["text"] for each in json.loads(line[6:])]
                    if any(until in each for each in self.lines):
                        return


def test_a_log_reader_that_comes_back_misses_nothing_and_sees_nothing_twice(scm: ScmProcess) -> None:
    logs = scm.home / "LogFiles"
    (logs / "Application").mkdir(parents=True)
    (logs / "app.log").write_text("before\n")
    (logs / "old.log").write_text("old\n")
    events = Events(scm)

    def append(name: str, text: str) -> None:
        with (logs / name).open("a") as file:
            file.write(text)

    events.read("one", first=lambda: append("app.log", "one\n"))
    append("app.log", "while away\n")
    append("old.log", "old grew\n")
    append("Application/new.log", "new file\n")
    scm.process.kill()
    scm.process.wait()
    scm.start()
    events.read("last", first=lambda: append("app.log", "last\n"))

    assert sorted(events.lines) == sorted(["one", "while away", "old grew", "new file", "last"])


@given(st.dictionaries(st.integers(0, 2**64), st.integers(0, 2**50)), st.integers(0, 2**63))
def test_a_cursor_is_read_as_it_was_written(positions: dict[int, int], at_ns: int) -> None:
    assert read_cursor(make_cursor(positions, at_ns=at_ns)) == (dict(list(positions.items())[-300:]), at_ns)


@given(st.text())
def test_no_text_breaks_the_reader_of_cursors(text: str) -> None:
    read_cursor(text)


def test_a_cursor_that_unpacks_to_very_much_is_none() -> None:
    assert read_cursor(base64.urlsafe_b64encode(zlib.compress(b"[" * 50_000_000)).decode()) is None


def test_the_process_tree_puts_parents_before_children_and_survives_a_circle() -> None:
    def facts(pid: int, parent: int, **more: object) -> dict[str, object]:
        return {
            "pid": pid, "parent": parent, "name": f"p{pid}", "kind": "worker", "main": pid == 5, "command_line": ["a", "b"],
            "user_seconds": 1.0, "system_seconds": 0.5, "resident_bytes": 1, "threads": 1, "started": 0.0, **more,
        }  # fmt: skip

    rows = process_tree([facts(9, 5), facts(5, 1), facts(7, 9), facts(20, 21), facts(21, 20)])

    assert [(row["id"], row["depth"], row["kind"]) for row in rows] == [
        (5, 0, "worker"),
        (9, 1, ""),
        (7, 2, ""),
    ]
    assert rows[0]["cpu_seconds"] == 1.5
