"""Pythons by Kudu's API for extensions, on a real platform (Kudu reference §7.3, §14, §15 item 40)."""

from collections.abc import Callable
from typing import Any

import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import HELLO, web_config

Make = Callable[..., str]


def put_until_current(platform: Platform, site: str, identity: str) -> dict[str, Any]:
    """PUT without a body, as kudu.py does."""
    with platform.scm(site) as scm:
        answer = scm.put(f"/api/siteextensions/{identity}", headers={"If-Match": "*"}, timeout=300)
        assert answer.status_code == 200, answer.text
        info: dict[str, Any] = answer.json()
        return info


def test_a_put_without_body_brings_a_python_that_serves_the_site(platform: Platform, make_site: Make) -> None:
    site = make_site("by-api", {"web.config": web_config(), "app.py": HELLO}, runtime="")

    info = put_until_current(platform, site, "python3117x64")

    assert info["id"] == "python3117x64"
    assert info["version"].startswith("3.11.")
    assert info["local_path"] == "D:\\home\\SiteExtensions\\python3117x64"
    assert info["provisioningState"] == "Succeeded"
    eventually(lambda: platform.get(site).text == "hello")
    assert [each["folder"] for each in platform.json("extension", "list", "--site", site)] == [
        "python3117x64"
    ]
    with platform.scm(site) as scm:
        version = scm.post(
            "/api/command", json={"command": "python.exe -V", "dir": r"\home\python3117x64"}
        ).json()
        installed = scm.get("/api/siteextensions").json()
    assert version["Output"].startswith("Python 3.11")
    assert [each["id"] for each in installed] == ["python3117x64"]
    assert installed[0]["local_is_latest_version"] is True
    assert put_until_current(platform, site, "Python3117x64")["version"] == info["version"]


def test_the_feed_lists_the_gallery_and_old_ids_are_found(platform: Platform, make_site: Make) -> None:
    site = make_site("by-feed", runtime="")
    with platform.scm(site) as scm:
        feed = scm.get("/api/extensionfeed").json()
        one = scm.get("/api/extensionfeed/python361x64").json()
        unknown = scm.put("/api/siteextensions/python3190x64")
        other = scm.put("/api/siteextensions/SomeTool")

    assert {each["id"] for each in platform.json("extension", "list")} == {each["id"] for each in feed}
    assert one["version"].startswith("3.6.")
    assert unknown.status_code == 404
    assert other.status_code == 404
    assert "SCM_SITEEXTENSIONS_FEED_URL" in other.json()["Message"]


def test_a_deleted_python_is_gone_from_the_site_and_from_the_platforms_memory(
    platform: Platform, make_site: Make
) -> None:
    site = make_site("un-api")
    with platform.scm(site) as scm:
        answer = scm.delete("/api/siteextensions/python3117x64", timeout=300)
        again = scm.delete("/api/siteextensions/python3117x64", timeout=300)

    assert (answer.status_code, answer.json()) == (200, True)
    assert again.status_code == 404
    assert platform.json("extension", "list", "--site", site) == []
    assert not (platform.data / f"sites/{site}/home/python3117x64").exists()


def test_arm_polls_until_the_python_is_there(platform: Platform, make_site: Make) -> None:
    site = make_site("arm-api", runtime="")
    path = "/api/siteextensions/python3117x64"
    headers = {
        "x-ms-geo-location": "",
        "Referer": f"https://m/providers/Microsoft.Web/sites/{site}/siteextensions/python3117x64",
    }
    with platform.scm(site) as scm:
        put = scm.put(path, json={"properties": {}}, headers=headers, timeout=120)
        seen: list[tuple[int, str | None]] = []

        def finished() -> bool:
            answer = scm.get(path, headers=headers)
            seen.append((answer.status_code, answer.headers.get("X-MS-SITE-OPERATION")))
            return answer.status_code == 200 and seen[-1][1] is None

        eventually(finished, seconds=120)

    assert put.status_code == 201, put.text
    assert [restart for _, restart in seen].count("restart") == 1
    assert {status for status, _ in seen} <= {200, 201}


@pytest.mark.parametrize("name", ["../other", "python3117x64/../x"])
def test_a_site_cannot_name_another_sites_folder(platform: Platform, make_site: Make, name: str) -> None:
    site = make_site("evil-api", runtime="")
    with platform.scm(site) as scm:
        assert scm.put(f"/api/siteextensions/{name.replace('/', '%2f')}").status_code in {400, 404}
