"""Site extensions from NuGet, against Kudu reference §7.2 to §7.5 and §15 item 40: real packages, real feeds, real scripts."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import ScmProcess, wait_for
from hypothesis import given
from hypothesis import strategies as st
from nuget_feeds import NUSPEC, package, served, write_v2, write_v3

from homeport.node.local_api import Progress
from homeport.node.site_control import SiteControl
from homeport.scm.extensions.versions import PackageVersion

MEMBERS = {
    "id", "title", "type", "summary", "description", "version", "extension_url", "project_url", "icon_url",
    "license_url", "feed_url", "authors", "installer_command_line_params", "published_date_time",
    "download_count", "local_is_latest_version", "local_path", "installed_date_time", "provisioningState",
    "comment", "packageUri",
}  # fmt: skip
ARM = {
    "x-ms-geo-location": "here",
    "Referer": "https://m/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/x/siteextensions/Example.Tool",
}


@pytest.fixture
def agent(folder: Path) -> Iterator[Path]:
    """The agent's control socket with a gallery of no Pythons: what packages need of it."""
    loop = asyncio.new_event_loop()
    path = folder / "agent.sock"

    async def nothing(_request: Mapping[str, Any], _progress: Progress) -> object:
        return []

    control = SiteControl(
        path, owner=None, actions={"gallery": nothing, "follow": nothing}, spawn=loop.create_task
    )
    loop.call_soon(control.open)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    wait_for(path.exists)
    yield path
    loop.call_soon_threadsafe(control.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=["v3", "v2"])
def feed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A feed of each protocol with two versions of a tool, one that fails, and a prerelease."""
    tool = {
        "content/index.html": "tool",
        "content/sub/a%20b.txt": "escaped",
        "content/install.cmd": "@echo installed %1> made.txt\r\n",
        "content/uninstall.cmd": "@echo gone> %HOME%\\uninstalled.txt\r\n",
        "lib/ignored.dll": "no",
    }
    packages = [
        ("Example.Tool", "1.0.0", package("Example.Tool", "1.0.0", tool | {"content/old.txt": "o"})),
        ("Example.Tool", "1.1.0", package("Example.Tool", "1.1.0", tool)),
        (
            "Failing",
            "1.0.0",
            package("Failing", "1.0.0", {"content/install.cmd": "@echo went wrong\r\n@exit 7\r\n"}),
        ),
        ("Early", "2.0.0-beta", package("Early", "2.0.0-beta", {"content/x": "x"})),
    ]
    with served(tmp_path) as address:
        write = write_v3 if request.param == "v3" else write_v2
        yield write(tmp_path, address, packages)


@pytest.fixture
def site(start_scm: Callable[..., ScmProcess], agent: Path, feed: str) -> ScmProcess:
    """A site whose extensions come from the feed."""
    return start_scm(SCM_SITEEXTENSIONS_FEED_URL=feed, HOMEPORT_SCM_CONTROL=str(agent))


def test_7_3_the_feed_is_listed_searched_and_shown(site: ScmProcess) -> None:
    found = site.client.get("/api/extensionfeed").json()
    one = site.client.get("/api/extensionfeed/example.tool").json()
    old = site.client.get("/api/extensionfeed/Example.Tool?version=1.0.0").json()

    assert {item["id"] for item in found} == {"Example.Tool", "Failing"}
    assert all(set(item) == MEMBERS for item in found)
    assert one["version"] == "1.1.0"
    assert old["version"] == "1.0.0"
    assert (one["title"], one["authors"], one["type"]) == ("Title of Example.Tool", ["Ada", "Bob"], "Gallery")
    assert one["local_path"] is None
    assert [item["id"] for item in site.client.get("/api/extensionfeed?filter=fail").json()] == ["Failing"]
    assert len(site.client.get("/api/extensionfeed?allowPrereleaseVersions=true").json()) == 3
    unknown = site.client.get("/api/extensionfeed/None")
    assert (unknown.status_code, unknown.json()) == (404, {"Message": "None"})


def test_15_40_put_without_body_installs_and_answers_with_the_info(site: ScmProcess) -> None:
    answer = site.client.put("/api/siteextensions/Example.Tool")
    info = answer.json()
    folder = site.home / "SiteExtensions/Example.Tool"

    assert answer.status_code == 200, answer.text
    assert set(info) == MEMBERS
    assert info["local_path"] == "D:\\home\\SiteExtensions\\Example.Tool"
    assert info["local_is_latest_version"] is True
    assert info["provisioningState"] == "Succeeded"
    assert info["extension_url"] == "http://hello.scm.localhost/Example.Tool/"
    assert answer.headers["x-ms-request-id"]
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "index.html",
        "sub/a b.txt",
        "install.cmd",
        "uninstall.cmd",
        "made.txt",
        "Example.Tool.1.1.0.nupkg",
        "SiteExtensionSettings.json",
        "homeport-manifest.json",
        "scmApplicationHost.xdt",
    }
    assert (folder / "made.txt").read_text().startswith("installed")
    assert site.client.get("/api/siteextensions/example.TOOL").json() == info
    assert site.client.get("/api/siteextensions").json() == [info]
    assert site.client.get("/api/siteextensions?filter=zzz").json() == []


def test_15_40_the_same_version_is_not_installed_again_and_new_arguments_are(site: ScmProcess) -> None:
    site.client.put("/api/siteextensions/Example.Tool").raise_for_status()
    made = site.home / "SiteExtensions/Example.Tool/made.txt"
    made.unlink()

    site.client.put("/api/siteextensions/Example.Tool", json={"version": "1.0.0"}).raise_for_status()
    assert not made.exists()
    again = site.client.put(
        "/api/siteextensions/Example.Tool", json={"installer_command_line_params": "fast"}
    )

    assert again.json()["installer_command_line_params"] == "fast"
    assert made.read_text().startswith("installed fast")


def test_7_4_an_update_removes_old_files_and_keeps_the_owners(site: ScmProcess) -> None:
    first = site.client.put("/api/siteextensions/Example.Tool", json={"version": "1.0.0"}).json()
    folder = site.home / "SiteExtensions/Example.Tool"
    assert (folder / "old.txt").exists()
    assert first["local_is_latest_version"] is False
    (folder / "mine.cfg").write_text("mine")

    assert site.client.put("/api/siteextensions/Example.Tool").json()["version"] == "1.1.0"

    assert not (folder / "old.txt").exists()
    assert (folder / "mine.cfg").read_text() == "mine"
    assert [path.name for path in folder.glob("*.nupkg")] == ["Example.Tool.1.1.0.nupkg"]


def test_7_4_removal_leaves_nothing_but_what_the_owner_put_there(site: ScmProcess) -> None:
    client = site.client
    client.put("/api/siteextensions/Example.Tool").raise_for_status()
    answer = client.delete("/api/siteextensions/Example.Tool")
    assert (answer.status_code, answer.json()) == (200, True)
    assert not (site.home / "SiteExtensions/Example.Tool").exists()
    assert not (site.home / "site/siteextensions/Example.Tool").exists()
    assert (site.home / "uninstalled.txt").exists()

    client.put("/api/siteextensions/Example.Tool").raise_for_status()
    (site.home / "SiteExtensions/Example.Tool/sub/mine.cfg").write_text("mine")
    assert client.delete("/api/siteextensions/Example.Tool").json() is True

    left = [path for path in (site.home / "SiteExtensions/Example.Tool").rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["mine.cfg"]
    unknown = client.delete("/api/siteextensions/Example.Tool")
    assert (unknown.status_code, unknown.json()) == (404, {"Message": "Example.Tool"})


def test_7_3_failures_are_400_or_404_and_leave_nothing(site: ScmProcess) -> None:
    client = site.client
    failing = client.put("/api/siteextensions/Failing")
    missing = client.put("/api/siteextensions/Not.There")
    bad_uri = client.put(
        "/api/siteextensions/Example.Tool", json={"packageUri": "http://127.0.0.1:1/other.1.0.0.nupkg"}
    )
    away = client.put(
        "/api/siteextensions/Example.Tool", json={"packageUri": "http://127.0.0.1:1/Example.Tool.1.0.0.nupkg"}
    )
    web_root = client.put("/api/siteextensions/Example.Tool", json={"type": "WebRoot"})

    assert failing.status_code == 400
    assert "exit code 7" in failing.json()["Message"]
    assert "went wrong" in failing.json()["Message"]
    assert missing.status_code == 404
    assert [bad_uri.status_code, away.status_code, web_root.status_code] == [400, 400, 400]
    assert [*(site.home / "SiteExtensions").iterdir()] == []
    assert [*(site.home / "data/.homeport/extensions").iterdir()] == []


def test_a_failed_update_leaves_the_old_version_as_it_was(
    site: ScmProcess, tmp_path: Path, feed: str
) -> None:
    site.client.put("/api/siteextensions/Example.Tool").raise_for_status()
    folder = site.home / "SiteExtensions/Example.Tool"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    broken = package(
        "Example.Tool", "9.0.0", {"content/index.html": "new", "content/install.cmd": "@exit 1\r\n"}
    )

    answer = site.client.put(
        "/api/siteextensions/Example.Tool",
        content=broken,
        headers={"content-type": "application/octet-stream"},
    )

    assert answer.status_code == 400
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_7_4_a_package_can_be_uploaded_or_named_by_its_address(site: ScmProcess, tmp_path: Path) -> None:
    data = package(
        "Mine",
        "3.2.1",
        {"content/a.txt": "a", "content/applicationHost.xdt": '<c><application path="/my" /></c>'},
    )
    (tmp_path / "Mine.3.2.1.nupkg").write_bytes(data)
    headers = {"content-type": "application/octet-stream"}

    uploaded = site.client.put("/api/siteextensions/Mine", content=data, headers=headers)
    assert uploaded.json()["version"] == "3.2.1"
    assert uploaded.json()["extension_url"] == "http://hello.scm.localhost/my/"
    assert not (site.home / "SiteExtensions/Mine/scmApplicationHost.xdt").exists()
    assert site.client.delete("/api/siteextensions/Mine").json() is True
    with served(tmp_path) as address:
        uri = f"{address}/Mine.3.2.1.nupkg"
        named = site.client.put("/api/siteextensions/mine", json={"packageUri": uri}).json()
    assert (named["packageUri"], named["version"]) == (uri, "3.2.1")


def test_an_extension_is_installed_while_the_agent_is_away(scm: ScmProcess) -> None:
    data = package("Mine", "1.0.0", {"content/a.txt": "a"})

    answer = scm.client.put(
        "/api/siteextensions/Mine", content=data, headers={"content-type": "application/zip"}
    )

    assert (answer.status_code, answer.json()["version"]) == (200, "1.0.0")
    assert answer.json()["local_is_latest_version"] is None


EVIL = "content/x/..%2f..%2f..%2fevil.txt"


@pytest.mark.parametrize(
    "data",
    [
        b"no zip",
        package("Bad", "1.0.0", {"content/../../../evil.txt": "e"}),
        package("Bad", "1.0.0", {EVIL: "e"}),
        package("Bad", "1.0.0", {"content/%2fevil.txt": "e"}),
        package("Bad", "1.0.0", {"content/..%5C..%5Cevil.txt": "e"}),
        package("Bad", "1.0.0", {"content/a%00evil.txt": "e"}),
        package("Bad", "1.0.0", {"content/C%3A/evil.txt": "e"}),
        package("Bad", "1.0.0", {"content/a b": "1", "content/a%20b": "2"}),
        package("Bad", "1.0.0", {"content/bomb": b"\0" * 200_000_000}),
        package("Other", "1.0.0", {"content/evil.txt": "e"}),
        package("Bad", "1.0.0", {}, nuspec="<package>"),
        package("Bad", "1.0.0", {}, nuspec=NUSPEC.format(id="../evil", version="1.0.0", title="t")),
        package("Bad", "1.0.0", {}, nuspec='<!DOCTYPE x [<!ENTITY a "b">]>' + NUSPEC.format(id="Bad", version="1", title="&a;")),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_hostile_package_is_refused_and_leaves_nothing(
    start_scm: Callable[..., ScmProcess], agent: Path, data: bytes
) -> None:
    scm = start_scm(HOMEPORT_SCM_CONTROL=str(agent))

    answer = scm.client.put(
        "/api/siteextensions/Bad", content=data, headers={"content-type": "application/zip"}
    )

    assert answer.status_code == 400, answer.text
    assert answer.json()["Message"]
    assert not [*scm.folder.rglob("*evil*")]
    assert not (scm.home / "SiteExtensions/Bad").exists()


@pytest.mark.parametrize("identity", ["a%2fb", "a..b", "%2e%2e", "x" * 200, "-", "a%00"])
def test_an_id_that_no_folder_can_have_is_refused(site: ScmProcess, identity: str) -> None:
    answer = site.client.put(f"/api/siteextensions/{identity}")

    assert answer.status_code in {400, 404}
    assert site.client.get(f"/api/siteextensions/{identity}").status_code == 404


def test_an_extension_does_not_follow_links_when_it_is_removed(site: ScmProcess, tmp_path: Path) -> None:
    site.client.put("/api/siteextensions/Example.Tool").raise_for_status()
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "a b.txt").write_text("precious")
    folder = site.home / "SiteExtensions/Example.Tool"
    (folder / "sub/a b.txt").unlink()
    (folder / "sub").rmdir()
    (folder / "sub").symlink_to(victim)

    site.client.delete("/api/siteextensions/Example.Tool")

    assert (victim / "a b.txt").read_text() == "precious"


def test_an_installation_whose_process_was_killed_is_undone_by_the_next(site: ScmProcess) -> None:
    site.client.put("/api/siteextensions/Example.Tool", json={"version": "1.0.0"}).raise_for_status()
    folder = site.home / "SiteExtensions/Example.Tool"
    hanging = package(
        "Example.Tool", "9.0.0", {"content/install.cmd": "@echo x> started.txt\r\n@sleep 300\r\n"}
    )
    headers = {"content-type": "application/octet-stream"}

    def put() -> None:
        try:
            site.client.put("/api/siteextensions/Example.Tool", content=hanging, headers=headers)
        except httpx.TransportError:
            return

    thread = threading.Thread(target=put)
    thread.start()
    wait_for((folder / "started.txt").exists)
    busy = site.client.put("/api/siteextensions/Example.Tool")
    os.kill(site.process.pid, signal.SIGKILL)
    site.process.wait()
    thread.join()
    site.start()
    answer = site.client.put("/api/siteextensions/Example.Tool")

    assert (busy.status_code, busy.json()) == (409, {"Message": "Example.Tool"})
    assert answer.json()["version"] == "1.1.0"
    assert not (folder / "started.txt").exists()
    assert not [*(site.home / "data/.homeport/extensions").rglob("journal.json")]


def test_15_40_arm_polls_until_the_restart_is_announced_exactly_once(site: ScmProcess) -> None:
    path = "/api/siteextensions/Example.Tool"
    put = site.client.put(path, json={"properties": {}}, headers=ARM)
    answers = [site.client.get(path, headers=ARM) for _ in range(3)]
    empty = site.client.put(path, headers=ARM)
    deleted = site.client.delete(path, headers=ARM)

    assert put.status_code == 201
    assert put.json()["properties"]["provisioningState"] == "Created"
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert [answer.headers.get("X-MS-SITE-OPERATION") for answer in answers] == ["restart", None, None]
    assert answers[0].json()["properties"]["provisioningState"] == "Succeeded"
    assert answers[0].json()["type"] == "Microsoft.Web/sites/siteextensions"
    assert empty.status_code == 400
    assert (deleted.status_code, deleted.content) == (200, b"")


def test_15_40_arm_is_told_why_an_installation_failed(site: ScmProcess) -> None:
    put = site.client.put("/api/siteextensions/Failing", json={"properties": {}}, headers=ARM)
    polled = site.client.get("/api/siteextensions/Failing", headers=ARM)

    assert put.status_code == 400
    assert polled.status_code == 400
    assert "exit code 7" in json.loads(polled.content)["error"]["message"]


def test_15_40_two_extensions_install_at_the_same_time(site: ScmProcess) -> None:
    answers: dict[str, int] = {}

    def put(identity: str, body: dict[str, str]) -> None:
        answers[identity] = site.client.put(f"/api/siteextensions/{identity}", json=body).status_code

    threads = [
        threading.Thread(target=put, args=("Example.Tool", {})),
        threading.Thread(target=put, args=("Early", {"version": "2.0.0-beta"})),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == {"Example.Tool": 200, "Early": 200}
    assert len(site.client.get("/api/siteextensions?checkLatest=false").json()) == 2


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "ftp://x/",
        "http://127.0.0.1:1/v3/index.json",
        "file:///etc/passwd",
        "http://[bad",
        "http://x:999999/",
    ],
)
def test_a_feed_that_is_none_is_an_error_and_not_an_empty_list(
    start_scm: Callable[..., ScmProcess], agent: Path, url: str
) -> None:
    scm = start_scm(HOMEPORT_SCM_CONTROL=str(agent))

    assert scm.client.get("/api/extensionfeed", params={"feedUrl": url}).status_code in {400, 503}
    assert scm.client.put("/api/siteextensions/Tool", json={"feed_url": url}).status_code == 400


@pytest.mark.parametrize(
    "where", ["file:///etc/passwd", "gopher://x/y", "http://[bad", "http://127.0.0.1:1/x.nupkg"]
)
def test_a_feed_cannot_send_the_site_elsewhere_than_the_web(
    start_scm: Callable[..., ScmProcess], agent: Path, tmp_path: Path, where: str
) -> None:
    scm = start_scm(HOMEPORT_SCM_CONTROL=str(agent))
    with served(tmp_path) as address:
        feed = write_v2(tmp_path, address, [("Tool", "1.0.0", b"")])
        for file in (tmp_path / "v2").iterdir():
            file.write_text(file.read_text().replace(f"{address}/v2/Tool.1.0.0.nupkg", where))
        answer = scm.client.put("/api/siteextensions/Tool", json={"feed_url": feed})

    assert answer.status_code == 400, answer.text
    assert not (scm.home / "SiteExtensions/Tool").exists()


ORDERED = [
    "1.0.0-1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0",
    "1.0.0.1",
    "1.2.0",
    "1.10",
]


def test_versions_are_ordered_as_nuget_orders_them() -> None:
    backwards = [PackageVersion(text) for text in reversed(ORDERED)]

    assert sorted(backwards) == [PackageVersion(text) for text in ORDERED]
    assert PackageVersion("1.0") == PackageVersion("1.0.0.0+meta")
    assert str(PackageVersion("1.2")) == "1.2.0"


@given(st.lists(st.integers(0, 9999), min_size=1, max_size=4), st.sampled_from(["", "-a.1", "-rc"]))
def test_a_version_survives_its_own_text(numbers: list[int], label: str) -> None:
    version = PackageVersion(".".join(map(str, numbers)) + label)

    assert PackageVersion(str(version)) == version
