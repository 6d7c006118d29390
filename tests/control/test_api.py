import concurrent.futures
import json
import os
import stat
import threading
from pathlib import Path

import pytest

from .memory_agent import MemoryAgent, serving
from .running import Control, accepts, eventually, running_control


def test_a_created_site_is_shown_with_its_addresses_and_credentials(
    control: Control, agent: MemoryAgent
) -> None:
    made = control.call("POST", "/sites", 201, name="Hello")

    assert made["name"] == "hello"
    assert made["state"] == "Running"
    assert made["url"] == "http://hello.localhost:8080"
    assert made["https_url"] == "https://hello.localhost"
    assert made["scm_url"] == "http://hello.scm.localhost:8080"
    assert made["publishing"]["user"] == "$hello"
    assert len(made["publishing"]["password"]) == 60
    assert made["uid"] > 60000


def test_a_created_site_has_reached_the_agent(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    assert agent.desired["hello"]["hostnames"] == ["hello.localhost"]
    assert agent.desired["hello"]["scm_hostnames"] == ["hello.scm.localhost"]
    assert agent.desired["hello"]["limits"]["processes"] == 512


def test_a_site_is_shown_with_what_the_agent_sees(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")

    shown = control.call("GET", "/sites/hello")

    assert shown["ready"] is True
    assert shown["processes"][0]["pid"] == 7
    assert shown["findings"][0]["file"] == "web.config"


def test_the_list_shows_no_password(control: Control) -> None:
    control.call("POST", "/sites", 201, name="b")
    control.call("POST", "/sites", 201, name="a")

    listed = control.call("GET", "/sites")["sites"]

    assert [site["name"] for site in listed] == ["a", "b"]
    assert not any("password" in site["publishing"] for site in listed)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "no spaces"}, "InvalidSiteName"),
        ({"name": "-x"}, "InvalidSiteName"),
        ({"name": "x--preview-0a1b2c3d"}, "InvalidSiteName"),
        ({"name": "x" * 61}, "InvalidSiteName"),
        ({"name": "portal"}, "ReservedSiteName"),
        ({"name": 7}, "Invalid"),
        ({"other": "x"}, "Invalid"),
    ],
)
def test_a_wrong_name_is_refused(control: Control, body: dict[str, object], code: str) -> None:
    assert control.call("POST", "/sites", 400, **body)["error"]["code"] == code


def test_a_body_that_is_no_json_is_refused(control: Control) -> None:
    answer = control.http.post("/sites", content=b"{")

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "Invalid")


def test_a_name_in_use_is_a_conflict(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")

    assert control.call("POST", "/sites", 409, name="HELLO")["error"]["code"] == "SiteExists"


def test_sites_created_at_once_get_different_users(control: Control, agent: MemoryAgent) -> None:
    threads = [
        threading.Thread(target=lambda n=n: control.http.post("/sites", json={"name": f"s{n}"}))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({site["uid"] for site in agent.desired.values()}) == 12


@pytest.mark.parametrize("method", ["GET", "DELETE", "PATCH"])
def test_an_unknown_site_is_not_found(control: Control, method: str) -> None:
    answer = control.http.request(method, "/sites/nobody", json={})

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SiteNotFound")


def test_an_unknown_route_is_a_json_error_too(control: Control) -> None:
    answer = control.http.get("/nothing")

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NotFound")


def test_a_site_stops_and_starts(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    stopped = control.call("POST", "/sites/hello/stop")["state"]
    seen = agent.desired["hello"]["state"]
    started = control.call("POST", "/sites/hello/start")["state"]

    assert (stopped, seen, started) == ("Stopped", "Stopped", "Running")


def test_a_restart_reaches_the_agent(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    control.call("POST", "/sites/hello/restart")

    assert agent.restarted == ["hello"]


def test_restarting_a_stopped_site_starts_it(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")
    control.call("POST", "/sites/hello/stop")

    assert control.call("POST", "/sites/hello/restart")["state"] == "Running"


def test_a_deleted_site_leaves_nothing(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    control.call("DELETE", "/sites/hello", 204)

    assert (agent.desired, agent.homes) == ({}, set())
    assert control.call("GET", "/sites") == {"sites": []}


def test_settings_are_set_shown_and_removed(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    control.call("PATCH", "/sites/hello/settings", A="1", B="2")
    control.call("PUT", "/sites/hello/settings/C:D", 204, value="3")
    control.call("DELETE", "/sites/hello/settings/b", 204)

    assert control.call("GET", "/sites/hello/settings") == {"A": "1", "C:D": "3"}
    assert agent.desired["hello"]["app_settings"] == {"A": "1", "C:D": "3"}


def test_putting_all_settings_replaces_them(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")
    control.call("PATCH", "/sites/hello/settings", A="1", B="2")

    assert control.call("PUT", "/sites/hello/settings", B="3") == {"B": "3"}


@pytest.mark.parametrize(
    "settings", [{"": "x"}, {"a=b": "x"}, {"a": 1}, {"a": "x\0"}, {"a\n": "x"}, {"a" * 257: "x"}]
)
def test_a_setting_that_no_process_could_have_is_refused(
    control: Control, settings: dict[str, object]
) -> None:
    control.call("POST", "/sites", 201, name="hello")

    assert control.call("PATCH", "/sites/hello/settings", 400, **settings)["error"]["code"] == "Invalid"


def test_limits_change_one_by_one(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    control.call("PATCH", "/sites/hello", limits={"processes": None})
    control.call("PATCH", "/sites/hello", limits={"cpu_percent": 50})

    limits = agent.desired["hello"]["limits"]
    assert (limits["processes"], limits["cpu_percent"], limits["request_body_bytes"]) == (
        None,
        50,
        1024 * 1024 * 1024,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"processes": 0}},
        {"limits": {"processes": "many"}},
        {"limits": {"processes": True}},
        {"limits": {"request_body_bytes": None}},
        {"limits": {"unknown": 1}},
        {"limits": 7},
        {"state": "Sleeping"},
        {"uid": 0},
    ],
)
def test_a_change_that_makes_no_sense_is_refused(control: Control, change: dict[str, object]) -> None:
    control.call("POST", "/sites", 201, name="hello")

    assert control.call("PATCH", "/sites/hello", 400, **change)["error"]["code"] == "Invalid"


def install(control: Control, extension_id: str = "python361x64") -> list[dict[str, object]]:
    with control.http.stream("POST", "/sites/hello/extensions", json={"id": extension_id}) as answer:
        assert answer.status_code == 200
        return [json.loads(line) for line in answer.iter_lines()]


def test_an_installation_streams_its_progress_and_its_result(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")

    lines = install(control)

    assert lines[0] == {"progress": "Copying", "fraction": 0.5}
    assert lines[-1]["result"]["note"] == "served by 3.6.15"  # type: ignore[index]
    assert agent.desired["hello"]["runtimes"][0]["version"] == "3.6.15"
    assert control.call("GET", "/sites/hello/extensions")["extensions"][0]["id"] == "python361x64"


def test_a_refused_installation_ends_with_the_error(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")
    agent.install_error = {
        "code": "RuntimeNotFound",
        "message": "No Python here serves it.",
        "status": 404,
    }

    assert install(control)[-1] == {"error": agent.install_error}
    assert control.call("GET", "/sites/hello/extensions") == {"extensions": []}


def test_an_installation_for_an_unknown_site_is_not_found(control: Control) -> None:
    control.call("POST", "/sites/hello/extensions", 404, id="python361x64")


def test_an_installation_goes_on_when_the_client_leaves(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")
    agent.may_finish.clear()
    with control.http.stream("POST", "/sites/hello/extensions", json={"id": "python361x64"}) as answer:
        next(answer.iter_lines())

    agent.may_finish.set()

    eventually(lambda: control.call("GET", "/sites/hello/extensions")["extensions"])


def test_a_removed_extension_is_gone_whatever_the_letter_case(control: Control, agent: MemoryAgent) -> None:
    control.call("POST", "/sites", 201, name="hello")
    install(control)

    control.call("DELETE", "/sites/hello/extensions/Python361x64")

    assert agent.removed == [("hello", "python361x64")]
    assert agent.desired["hello"]["runtimes"] == []


def test_an_extension_that_is_not_there_cannot_be_removed(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")

    error = control.call("DELETE", "/sites/hello/extensions/python361x64", 404)["error"]

    assert error["message"] == "The site 'hello' has no 'python361x64'; it has none."


def test_the_gallery_is_the_agents(control: Control) -> None:
    assert control.call("GET", "/gallery")["entries"][0]["recommended"] is True


def test_the_status_tells_addresses_and_missing_protections(control: Control) -> None:
    status = control.call("GET", "/status")

    assert (status["http"], status["https"]) == ("http://localhost:8080", "https://localhost")
    assert (status["ftp"], status["ftps"]) == (None, None)
    assert (status["agent"], status["missing"]) == ("running", ["cgroup memory"])


def test_a_site_that_the_agent_cannot_serve_is_reported(control: Control, agent: MemoryAgent) -> None:
    agent.problems = {"hello": "nginx refused its configuration"}

    error = control.call("POST", "/sites", 503, name="hello")["error"]

    assert "nginx refused" in error["message"]
    assert control.call("GET", "/sites/hello")["name"] == "hello"


def test_only_our_own_user_can_open_the_socket(control: Control) -> None:
    modes = {
        name: stat.S_IMODE(os.stat(control.folder / f"{name}.sock").st_mode) for name in ("control", "auth")
    }

    assert modes == {"control": 0o600, "auth": 0o660}


def test_everything_is_remembered_over_a_kill(folder: Path, agent: MemoryAgent) -> None:
    with serving(agent, folder / "agent.sock"):
        eventually(lambda: accepts(folder / "agent.sock"))
        with running_control(folder) as control:
            made = control.call("POST", "/sites", 201, name="hello")
            control.call("PATCH", "/sites/hello/settings", A="1")
            control.kill()
        agent.desired = {}
        pushes = agent.pushes
        with running_control(folder) as control:
            agent.wait_for_push(more_than=pushes)
            shown = control.call("GET", "/sites/hello")

    assert shown["publishing"] == made["publishing"]
    assert agent.desired["hello"]["app_settings"] == {"A": "1"}


def test_a_site_that_cannot_be_deleted_stops_no_other_deletion(control: Control, agent: MemoryAgent) -> None:
    for name in ("aaa", "zzz"):
        control.call("POST", "/sites", 201, name=name)
    agent.undeletable.add("aaa")

    error = control.call("DELETE", "/sites/aaa", 503)["error"]
    control.call("DELETE", "/sites/zzz", 204)

    assert "'aaa' could not be deleted" in error["message"]
    assert agent.homes == {"aaa"}
    agent.undeletable.clear()
    eventually(lambda: agent.homes == set())


def test_changes_that_wait_for_a_delivery_go_together(control: Control, agent: MemoryAgent) -> None:
    agent.may_push.clear()
    before = agent.pushes
    names = [f"site-{number}" for number in range(12)]

    with concurrent.futures.ThreadPoolExecutor(len(names)) as people:
        made = [people.submit(control.call, "POST", "/sites", 201, name=name) for name in names]
        eventually(lambda: len(control.call("GET", "/sites")["sites"]) == len(names))
        agent.may_push.set()
        assert {each.result()["name"] for each in made} == set(names)

    assert agent.desired.keys() == set(names)
    assert agent.pushes - before <= 3


def test_a_deletion_that_a_kill_cut_off_is_finished_at_the_next_start(
    folder: Path, agent: MemoryAgent
) -> None:
    with running_control(folder) as control:
        control.call("POST", "/sites", 503, name="hello")
        control.call("DELETE", "/sites/hello", 503)
        control.kill()
    agent.homes = {"hello"}
    with serving(agent, folder / "agent.sock"), running_control(folder) as control:
        eventually(lambda: not agent.homes)
        eventually(lambda: control.http.post("/sites", json={"name": "hello"}).status_code == 201)


def test_without_an_agent_a_change_is_stored_said_and_delivered_later(
    folder: Path, agent: MemoryAgent
) -> None:
    with running_control(folder) as control:
        error = control.call("POST", "/sites", 503, name="hello")["error"]
        shown = control.call("GET", "/sites/hello")
        with serving(agent, folder / "agent.sock"):
            agent.wait_for_push()

    assert error["code"] == "AgentUnavailable"
    assert error["message"].startswith("The change is stored")
    assert (shown["ready"], shown["problem"]) == (None, "The agent does not answer.")
    assert "hello" in agent.desired


def test_it_ends_when_its_supervisor_is_gone(folder: Path) -> None:
    with running_control(folder) as control:
        assert control.process.stdin
        control.process.stdin.close()

        assert control.process.wait(10) == 0
        assert not (folder / "control.sock").exists()
