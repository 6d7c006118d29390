"""Previews: a kept deployment at an address of its own, beside the live site and without harm to it."""

import io
import os
import signal
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from acceptance.running import Platform, eventually, running_platform
from acceptance.sites import application, web_config
from homeport.node.layout import node_layout

SITE = "shop"
APP = """
path, preview = environ["PATH_INFO"], os.environ.get("HOMEPORT_PREVIEW", "")
if path == "/cookies": return environ.get("HTTP_COOKIE", "none")
if path == "/write":
    for place in ("note.txt", "/home/data/shared.txt"): open(place, "a").write(VERSION)
if path == "/read": return open("note.txt").read() + "|" + open("/home/data/shared.txt").read()
if path == "/names": return os.environ["WEBSITE_SITE_NAME"] + " " + os.environ["WEBSITE_HOSTNAME"] + " " + preview
if path == "/end": os._exit(1)
if path == "/raise": return os.environ["MISSING_THING"]
print("asked for", path, flush=True)
import tiny
return VERSION + " with tiny " + tiny.VERSION
"""
WEB_SERVER = """<?xml version="1.0" encoding="utf-8"?>
<configuration>
  <system.webServer>
    <handlers>
      <add name="PythonHandler" path="*" verb="*" modules="httpPlatformHandler" resourceType="Unspecified"/>
    </handlers>
    <httpPlatform processPath="D:\\home\\python3117x64\\python.exe" arguments="app.py %HTTP_PLATFORM_PORT%"/>
  </system.webServer>
</configuration>
"""
SERVER = """
from wsgiref.simple_server import make_server
make_server("localhost", int(sys.argv[1]), wsgi_app).serve_forever()
"""


def wheel(version: str) -> bytes:
    """Make a wheel of the module `tiny`."""
    about = f"tiny-{version}.dist-info"
    return zipped(
        {
            # Python tells by size and second whether compiled code is stale, and these are installed within one.
            "tiny.py": f"VERSION = '{version}'\n" + "#" * int(float(version)),
            f"{about}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
            f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{about}/RECORD": f"tiny.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n",
        }
    )


def zipped(files: dict[str, str | bytes]) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@dataclass
class Shop:
    """A site with an old deployment and the one that is served, each with packages of its own."""

    platform: Platform
    old: str = ""
    new: str = ""

    def deploy(self, version: str, *, web_server: bool = False) -> str:
        """Deploy a version, as a web server of its own or not, and return the deployment's id."""
        package = zipped(
            {
                "web.config": WEB_SERVER if web_server else web_config(),
                "app.py": f"VERSION = '{version}'\n{application(APP)}{SERVER if web_server else ''}",
                "note.txt": f"{version};",
                f"only-{version}.txt": version,
                "requirements.txt": f"./tiny-{version}-py3-none-any.whl\n",
                f"tiny-{version}-py3-none-any.whl": wheel(version),
            }
        )
        with self.platform.scm(SITE) as scm:
            scm.post("/api/zipdeploy", content=package).raise_for_status()
            return next(str(each["id"]) for each in scm.get("/api/deployments").json() if each["active"])

    def preview(self, deployment: str) -> dict[str, Any]:
        with self.platform.scm(SITE) as scm:
            answer = scm.post(f"/api/homeport/deployments/{deployment}/preview")
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    @contextmanager
    def visitor(self, preview: dict[str, Any]) -> Iterator[httpx.Client]:
        """Give a client that has gone through the preview's door."""
        address = urlsplit(preview["url"])
        with self.platform.client(str(address.hostname)) as client:
            entered = client.get(f"{address.path}?{address.query}")
            assert (entered.status_code, entered.headers["location"]) == (302, "/")
            yield client

    def end(self, deployment: str) -> int:
        with self.platform.scm(SITE) as scm:
            return scm.delete(f"/api/homeport/deployments/{deployment}/preview").status_code

    def previews(self) -> list[dict[str, Any]]:
        with self.platform.scm(SITE) as scm:
            return list(scm.get("/api/homeport/previews").raise_for_status().json())

    @property
    def home(self) -> Path:
        return self.platform.data / "sites" / SITE / "home"

    def left(self) -> list[str]:
        """Name everything of previews that there is on the machine."""
        layout = node_layout(self.platform.data)
        places = (
            layout.sites,
            layout.nginx / "sites",
            layout.sockets,
            layout.namespaces,
            layout.tls / "hosts",
        )
        groups = Path("/sys/fs/cgroup").glob(f"**/homeport/{layout.run.name}/*")
        found = [path for place in places for path in place.iterdir()] + list(groups)
        found += list((self.home / "data/.homeport").glob("previews/*"))
        return [str(path) for path in found if "preview-" in path.name]


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with running_platform() as platform:
        platform.homeport("site", "create", SITE)
        platform.homeport("extension", "add", SITE, "python3117x64")
        platform.homeport("settings", "set", SITE, "SCM_DO_BUILD_DURING_DEPLOYMENT=true")
        shop = Shop(platform)
        shop.old = shop.deploy("1.0")
        shop.new = shop.deploy("2.0")
        assert live(shop) == "2.0 with tiny 2.0"
        yield shop


def live(shop: Shop) -> str:
    return shop.platform.get(SITE).text


def test_a_preview_serves_an_old_version_with_its_packages_beside_the_live_site(shop: Shop) -> None:
    processes = shop.platform.workers()

    preview = shop.platform.json("deployments", "preview", SITE, shop.old[:12])

    host = str(urlsplit(preview["url"]).hostname)
    assert host == f"{SITE}--preview-{preview['id']}.localhost"
    assert "D:\\home\\data" in preview["note"]
    with shop.platform.client(host) as anybody:
        assert {
            anybody.get(path).status_code for path in ("/", "/only-1.0.txt", "/.homeport/preview?token=")
        } == {403}
    with shop.visitor(preview) as visitor:
        assert visitor.get("/").text == "1.0 with tiny 1.0"
        assert live(shop) == "2.0 with tiny 2.0"
        assert visitor.get("/names").text == f"{SITE} {host} {shop.old}"
        # What the application writes is its own, but for what is shared.
        assert visitor.get("/write").status_code == 200
        assert visitor.get("/read").text == "1.0;1.0|1.0"
        assert shop.platform.get(SITE, "/read").text == "2.0;|1.0"
        # The key is not for the application.
        assert visitor.get("/cookies").text == "none"
        # One that ends in the middle of a request ends alone.
        assert visitor.get("/end").status_code == 500
        assert set(processes) <= set(shop.platform.workers())
        # Its error pages name the command that tells why, and what is told is not told of the live site.
        assert visitor.get("/raise").status_code == 500
        why = shop.platform.homeport("why", host.partition(".")[0], check=False)
        assert (why.returncode, "'MISSING_THING'" in why.stdout) == (1, True)
        assert shop.platform.json("why", SITE)["causes"] == []
        short = preview["id"]
        log = shop.home / f"LogFiles/Application/preview-{short}-"
        eventually(
            lambda: any("asked for /" in path.read_text() for path in log.parent.glob(f"{log.name}*.log"))
        )
    assert [each["deployment"] for each in shop.previews()] == [shop.old]
    assert shop.left()

    shop.platform.homeport("deployments", "preview", SITE, shop.old[:12], "--end")

    with shop.platform.client(host) as anybody:
        eventually(lambda: anybody.get("/").status_code == 404)
    assert not shop.left()
    assert set(shop.platform.workers()) == set(processes)
    assert live(shop) == "2.0 with tiny 2.0"
    assert shop.end(shop.old) == 404
    ended = shop.platform.homeport("why", host.partition(".")[0], check=False)
    assert (ended.returncode, "begin it again" in ended.stderr) == (1, True)


@pytest.mark.parametrize("identity", ["none", "..%2f..%2fx", "%2e%2e", "a" * 101, "x%00y", "x%0ay", "$host"])
def test_what_is_no_deployment_has_no_preview(identity: str, shop: Shop) -> None:
    with shop.platform.scm(SITE) as scm:
        answers = [
            scm.request(method, f"/api/homeport/deployments/{identity}/preview").status_code
            for method in ("POST", "GET", "DELETE")
        ]

    assert not {200, 201, 204, 500} & set(answers)
    assert not shop.left()


def test_a_web_server_is_previewed_beside_the_live_one_and_ends_with_its_deployment(shop: Shop) -> None:
    old, _ = (shop.deploy(version, web_server=True) for version in ("3.0", "4.0"))
    eventually(lambda: live(shop) == "4.0 with tiny 4.0")

    with shop.visitor(shop.preview(old)) as visitor:
        for _ in range(3):
            assert visitor.get("/").text == "3.0 with tiny 3.0"
            assert live(shop) == "4.0 with tiny 4.0"
        assert visitor.get("/cookies").text == "none"
    with shop.platform.scm(SITE) as scm:
        assert scm.delete(f"/api/deployments/{old}").status_code == 204

    assert not shop.previews()
    eventually(lambda: not shop.left())
    assert live(shop) == "4.0 with tiny 4.0"


def test_a_site_has_few_previews_and_none_once_it_is_stopped(shop: Shop) -> None:
    with shop.platform.scm(SITE) as scm:
        kept = [str(each["id"]) for each in scm.get("/api/deployments").json()]
        kept += [shop.deploy("5.0")] if len(kept) < 4 else []
        assert [shop.preview(identity)["deployment"] for identity in kept[:3]] == kept[:3]

        refused = scm.post(f"/api/homeport/deployments/{kept[3]}/preview")

        assert refused.status_code == 409
        assert kept[0] in refused.text
        assert scm.post(f"/api/homeport/deployments/{kept[0]}/preview").status_code == 200
    shop.platform.homeport("site", "stop", SITE)
    assert not shop.left()
    with shop.platform.scm(SITE) as scm:
        assert scm.post(f"/api/homeport/deployments/{kept[0]}/preview").status_code == 409
    shop.platform.homeport("site", "start", SITE)
    assert not shop.left()


def test_what_a_killed_agent_leaves_of_previews_is_removed(shop: Shop) -> None:
    preview = shop.preview(shop.old)
    with shop.visitor(preview) as visitor:
        assert visitor.get("/").status_code == 200
        agent = shop.platform.pid("homeport.node")

        os.kill(agent, signal.SIGKILL)

        eventually(lambda: shop.platform.pids("homeport.node") not in ([], [agent]))
        eventually(lambda: serves(shop))
        eventually(lambda: visitor.get("/").status_code == 404)
        eventually(lambda: not shop.left())
    assert not shop.previews()
    with shop.visitor(shop.preview(shop.old)) as visitor:
        assert visitor.get("/").text == "1.0 with tiny 1.0"


def test_a_site_that_is_deleted_takes_its_previews_along(shop: Shop) -> None:
    assert shop.left()

    shop.platform.homeport("site", "delete", SITE, "--yes")

    assert not shop.left()
    assert not shop.platform.workers()


def serves(shop: Shop) -> bool:
    try:
        return shop.platform.get(SITE).status_code == 200
    except httpx.HTTPError:
        return False
