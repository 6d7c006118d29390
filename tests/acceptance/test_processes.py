"""`/api/processes` on real workers in their sandboxes (Kudu reference §6)."""

import io
import os
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import application, web_config
from acceptance.test_http_platform import SLOW, http_platform

Make = Callable[..., str]
BUSY = application(
    "threading.Thread(target=lambda: time.sleep(600), name='quiet', daemon=True).start()\nreturn 'ok'"
)


@pytest.fixture
def busy_site(platform: Platform, make_site: Make) -> str:
    """A site with a worker that has served a request, and a secret setting."""
    name = make_site("busy-one", {"web.config": web_config(), "app.py": BUSY})
    platform.homeport("settings", "set", name, "API_KEY=very-secret")
    eventually(lambda: platform.get(name).text == "ok")
    return name


def entries(scm: httpx.Client) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scm.get("/api/processes").raise_for_status().json()
    return found


def test_the_list_shows_the_worker_and_the_scm_app_and_nobody_else(
    platform: Platform, busy_site: str
) -> None:
    with platform.scm(busy_site) as scm:
        found = entries(scm)
        details = [scm.get(httpx.URL(entry["href"]).path).json() for entry in found]

    assert {tuple(entry) for entry in found} == {("id", "name", "machineName", "href", "user_name")}
    assert {detail["environment_variables"]["WEBSITE_SITE_NAME"] for detail in details} == {busy_site}
    assert [detail.get("is_scm_site") for detail in details].count(True) >= 1
    assert not any("bwrap" in detail["command_line"] for detail in details)


def test_minus_one_is_a_worker_and_zero_the_scm_app(platform: Platform, busy_site: str) -> None:
    with platform.scm(busy_site) as scm:
        worker = scm.get("/api/processes/-1").json()
        scm_app = scm.get("/api/diagnostics/processes/0").json()

    assert worker["environment_variables"]["API_KEY"] == "very-secret"
    assert worker["file_name"].rpartition("/")[2].startswith("python")
    assert worker["working_set"] > 1_000_000
    assert worker["thread_count"] == len(worker["threads"]) >= 2
    assert any("python" in module["file_name"] for module in worker["modules"])
    assert worker["start_time"].endswith("Z")
    assert "is_scm_site" not in worker
    assert scm_app["is_scm_site"] is True
    assert scm_app["minidump"].endswith(f"/api/processes/{scm_app['id']}/dump")


def test_threads_modules_and_environment_one_by_one(platform: Platform, busy_site: str) -> None:
    with platform.scm(busy_site) as scm:
        threads = scm.get("/api/processes/-1/threads").json()
        thread = scm.get(f"/api/processes/-1/threads/{threads[0]['id']}").json()
        modules = scm.get("/api/processes/-1/modules").json()
        module = scm.get(f"/api/processes/-1/modules/{modules[0]['base_address']}").json()
        keys = scm.get("/api/processes/-1/environments/api_k").json()
        missing = [
            scm.get("/api/processes/-1/threads/999999999"),
            scm.get("/api/processes/-1/modules/ffff"),
        ]

    assert {"priviledged_processor_time", "wait_reason", "start_address"} <= set(thread)
    assert module["module_memory_size"] > 0
    assert keys == {"API_KEY": "very-secret", "APPSETTING_API_KEY": "very-secret"}
    assert [(answer.status_code, answer.content) for answer in missing] == [(404, b"")] * 2


def test_callers_through_the_management_api_see_no_setting(platform: Platform, busy_site: str) -> None:
    arm = {
        "x-ms-geo-location": "here",
        "Referer": "https://m/subscriptions/s/providers/Microsoft.Web/sites/x/processes/-1",
    }
    with platform.scm(busy_site) as scm:
        one = scm.get("/api/processes/-1", headers=arm).json()
        many = scm.get("/api/processes", headers=arm).json()
        everything = scm.get("/api/processes/-1/environments/all", headers=arm).json()

    assert one["properties"]["environment_variables"]["WEBSITE_SITE_NAME"] == busy_site
    assert "very-secret" not in str(one["properties"]["environment_variables"]) + str(everything)
    assert many["value"][0]["properties"]["name"]


def test_a_dump_holds_the_python_stacks_of_a_running_worker(platform: Platform, busy_site: str) -> None:
    with platform.scm(busy_site) as scm:
        raw = scm.get("/api/processes/-1/dump?dumpType=0")
        full = scm.get("/api/processes/-1/dump?dumpType=2&format=zip")
        own = scm.get("/api/processes/0/dump")
        refused = scm.get("/api/processes/-1/dump?format=diagsession")

    assert raw.status_code == 200, raw.text
    assert "Thread" in raw.text
    assert "serving.py" in raw.text
    assert "<lambda>" in raw.text
    assert raw.headers["content-disposition"].startswith("attachment; filename=python")
    with zipfile.ZipFile(io.BytesIO(full.content)) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    assert "serving.py" in text
    assert "base_events.py" in own.text
    assert refused.status_code == 400
    assert platform.get(busy_site).text == "ok"


def test_a_killed_worker_is_replaced_and_an_unknown_number_is_404(platform: Platform, busy_site: str) -> None:
    with platform.scm(busy_site) as scm:
        worker = scm.get("/api/processes/-1").json()["id"]
        killed = scm.delete(f"/api/processes/{worker}")
        gone = scm.get(f"/api/processes/{worker}")
        eventually(lambda: platform.get(busy_site).text == "ok")
        assert worker not in [entry["id"] for entry in entries(scm)]
        worker = scm.get("/api/processes/-1").json()["id"]
        restarted = scm.delete("/api/processes/-1")
        assert worker not in [entry["id"] for entry in entries(scm)]
        eventually(lambda: platform.get(busy_site).text == "ok")
        unknown = scm.get("/api/processes/4194303")

    assert killed.status_code == restarted.status_code == 204
    assert gone.status_code == unknown.status_code == 404
    assert "4194303" in unknown.json()["Message"]


def test_the_scm_app_restarts_on_request_and_the_next_call_is_answered(
    platform: Platform, busy_site: str
) -> None:
    with platform.scm(busy_site) as scm:
        before = scm.get("/api/processes/0").json()["id"]
        assert scm.delete("/api/processes/0").status_code == 204
        eventually(lambda: scm.get("/api/processes/0").json()["id"] != before)


def test_a_command_and_its_children_can_be_killed(platform: Platform, busy_site: str) -> None:
    line = {"command": "python3 -c \"import subprocess; subprocess.call(['sleep', '871'])\""}
    answers: list[httpx.Response] = []
    with platform.scm(busy_site) as scm, platform.scm(busy_site) as second:
        thread = threading.Thread(target=lambda: answers.append(second.post("/api/command", json=line)))
        thread.start()
        eventually(lambda: [entry for entry in entries(scm) if entry["name"] == "sleep"])
        sleeping = next(entry["id"] for entry in entries(scm) if entry["name"] == "sleep")
        parent = scm.get(f"/api/processes/{sleeping}").json()["parent"].rpartition("/")[2]
        assert scm.post(f"/api/processes/{parent}/stop").status_code == 204
        thread.join(60)

    assert answers[0].json()["ExitCode"] != 0


def test_another_sites_and_the_platforms_processes_are_out_of_reach(
    platform: Platform, make_site: Make, busy_site: str
) -> None:
    other = make_site("other-one", {"web.config": web_config(), "app.py": BUSY})
    eventually(lambda: platform.get(other).text == "ok")
    with platform.scm(other) as scm:
        victim = scm.get("/api/processes/-1").json()["id"]

    with platform.scm(busy_site) as scm:
        for pid in (victim, 1, os.getpid(), platform.process.pid, platform.pid("homeport.node")):
            assert scm.get(f"/api/processes/{pid}").status_code == 404
            assert scm.delete(f"/api/processes/{pid}").status_code == 404
            assert scm.get(f"/api/processes/{pid}/dump").status_code == 404
        listed = entries(scm)

    assert victim not in [entry["id"] for entry in listed]
    assert platform.get(other).text == "ok"


def test_a_sites_own_web_server_is_shown_dumped_and_replaced(platform: Platform, make_site: Make) -> None:
    site = make_site("own-server", {"web.config": http_platform(), "server.py": SLOW})
    eventually(lambda: platform.get(site).text.startswith("one "))
    before = platform.get(site).text
    with platform.scm(site) as scm:
        server = scm.get("/api/processes/-1").json()
        stacks = scm.get("/api/processes/-1/dump")
        killed = scm.delete(f"/api/processes/{server['id']}")

    assert "server.py" in server["command_line"]
    assert server["environment_variables"]["HTTP_PLATFORM_PORT"].isdigit()
    assert "serve_forever" in stacks.text
    assert killed.status_code == 204
    eventually(lambda: (text := platform.get(site).text).startswith("one ") and text != before)
