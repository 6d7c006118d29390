"""Zip deployments and their records over the real process (Kudu reference §3.2, §4; §15 items 20 to 24, 27 to 34)."""

import http.server
import os
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from conftest import ScmProcess, packed, wait_for

from homeport.scm.deployments.lock import DeploymentLock


def content(scm: ScmProcess) -> dict[str, str]:
    """Return the files of the web root with their texts."""
    root = scm.web_root
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


class SlowUpload:
    """A push whose last byte waits for `finish`."""

    def __init__(self, scm: ScmProcess, body: bytes, **query: str) -> None:
        self._go_on = threading.Event()
        self._scm = scm
        self.answer: httpx.Response | None = None
        self._thread = threading.Thread(target=self._send, args=(body, query))
        self._thread.start()
        wait_for(lambda: (scm.home / "data/.homeport/zipdeploy").exists())

    def _send(self, body: bytes, query: dict[str, str]) -> None:
        def pieces() -> Iterator[bytes]:
            yield body[:-1]
            self._go_on.wait(30)
            yield body[-1:]

        self.answer = self._scm.client.post("/api/zipdeploy", params=query, content=pieces())

    def finish(self) -> httpx.Response:
        self._go_on.set()
        self._thread.join(30)
        assert self.answer is not None
        return self.answer


def test_a_package_becomes_the_content_and_the_placeholder_page_goes(scm: ScmProcess) -> None:
    """§15 item 34."""
    (scm.web_root / "hostingstart.html").write_text("placeholder")

    answer = scm.deploy({"app.py": "one", "static/a.css": "two", "empty/": ""})

    assert (answer.status_code, answer.content) == (200, b"")
    assert "scm-deployment-id" not in answer.headers
    assert content(scm) == {"app.py": "one", "static/a.css": "two"}
    assert (scm.web_root / "empty").is_dir()
    assert not (scm.home / "data/.homeport/zipdeploy").exists() or not os.listdir(
        scm.home / "data/.homeport/zipdeploy"
    )


def test_put_and_the_short_route_deploy_too(scm: ScmProcess) -> None:
    assert scm.client.put("/zipdeploy", content=packed({"a": "1"})).status_code == 200
    assert content(scm) == {"a": "1"}


def test_the_record_has_every_documented_member(scm: ScmProcess) -> None:
    """§4.1, §15 item 20."""
    scm.deploy({"a": "1"}, author="An Author", authorEmail="a@example.com", message="why", deployer="me")

    record = scm.client.get("/api/deployments").json()[0]

    assert list(record) == [
        "id", "status", "status_text", "author_email", "author", "deployer", "message", "progress",
        "received_time", "start_time", "end_time", "last_success_end_time", "complete", "active", "is_temp",
        "is_readonly", "url", "log_url", "site_name", "provisioningState",
    ]  # fmt: skip
    assert (record["author"], record["author_email"]) == ("An Author", "a@example.com")
    assert (record["message"], record["deployer"]) == ("why", "me")
    assert (record["status"], record["status_text"], record["provisioningState"]) == (4, "", "Succeeded")
    assert (record["complete"], record["active"], record["is_temp"], record["is_readonly"]) == (
        True,
        True,
        False,
        False,  # its package is kept: it can be carried out again
    )
    assert len(record["id"]) == 32
    assert record["url"] == f"http://hello.scm.localhost/api/deployments/{record['id']}"
    assert record["log_url"] == record["url"] + "/log"
    assert record["site_name"] == "hello"
    assert record["end_time"].endswith("Z")
    assert record["last_success_end_time"] == record["end_time"]


def test_the_defaults_of_a_record(scm: ScmProcess) -> None:
    scm.deploy({"a": "1"})

    record = scm.client.get("/api/deployments/latest").json()

    assert (record["author"], record["author_email"]) == (None, None)
    assert (record["deployer"], record["message"]) == ("ZipDeploy", "Created via a push deployment")


def test_the_files_of_a_record_are_kudus(scm: ScmProcess) -> None:
    scm.deploy({"a/b": "1"})

    identity = (scm.home / "site/deployments/active").read_text()
    folder = scm.home / "site/deployments" / identity

    assert sorted(os.listdir(folder)) == ["log.log", "manifest", "status.xml", "status_complete.xml"]
    assert (folder / "manifest").read_text() == "a\na/b\n"
    assert "<status>Success</status>" in (folder / "status.xml").read_text()
    assert "<is_temp>False</is_temp>" in (folder / "status.xml").read_text()


def test_tracking_gives_the_id_of_the_record(scm: ScmProcess) -> None:
    """§15 item 20."""
    answer = scm.deploy({"a": "1"}, trackDeploymentProgress="true")

    identity = answer.headers["scm-deployment-id"]
    assert len(identity) == 36
    assert "scm-deployment-id" not in scm.deploy({"a": "2"}).headers
    assert scm.client.get(f"/api/deployments/{identity}").json()["id"] == identity


def test_an_asynchronous_push_is_202_until_done_and_never_shows_the_one_before(scm: ScmProcess) -> None:
    """§15 item 21."""
    scm.deploy({"a": "1"}, message="before")

    answer = scm.deploy({"a": "2", "b": "x" * 100_000}, isAsync="TRUE", deployer="my tool", message="after")

    assert (answer.status_code, answer.content) == (202, b"")
    assert answer.headers["retry-after"] == "30"
    location = answer.headers["location"]
    assert location.startswith("http://hello.scm.localhost/api/deployments/latest?deployer=my%20tool&time=20")
    seen = [scm.client.get(location)]
    while seen[-1].status_code == 202:
        assert seen[-1].json()["url"] is None
        assert seen[-1].json()["log_url"] is None
        assert seen[-1].headers["retry-after"] == "30"
        assert seen[-1].headers["location"] == location
        seen.append(scm.client.get(location))
    assert {poll.json()["message"] for poll in seen} == {"after"}
    assert seen[-1].json()["status"] == 4
    assert seen[-1].json()["url"] == "http://hello.scm.localhost/api/deployments/latest"
    assert seen[-1].json()["log_url"] == "http://hello.scm.localhost/api/deployments/latest/log"


@pytest.mark.parametrize("query", ["isAsync=1", "clean=maybe", "trackDeploymentProgress=yes"])
def test_a_flag_that_is_no_boolean_is_400(shared_scm: ScmProcess, query: str) -> None:
    assert shared_scm.client.post(f"/api/zipdeploy?{query}", content=b"").status_code == 400


def test_the_next_package_removes_the_files_of_the_last_one_and_no_others(scm: ScmProcess) -> None:
    """§15 item 22."""
    scm.deploy({"old.py": "1", "kept.py": "1", "lib/old.py": "1", "mixed/old.py": "1"})
    (scm.web_root / "uploaded.txt").write_text("by hand")
    (scm.web_root / "mixed/uploaded.txt").write_text("by hand")

    scm.deploy({"kept.py": "1", "new.py": "2"})

    assert content(scm) == {
        "kept.py": "1", "new.py": "2", "uploaded.txt": "by hand", "mixed/uploaded.txt": "by hand"
    }  # fmt: skip
    assert not (scm.web_root / "lib").exists()


def test_a_file_of_another_time_or_content_is_copied_and_an_equal_one_is_not(scm: ScmProcess) -> None:
    scm.deploy({"same.py": "1", "touched.py": "1", "changed.py": "1"})
    os.utime(scm.web_root / "touched.py", (2_000_000_000, 2_000_000_000))
    node = (scm.web_root / "same.py").stat().st_ino

    scm.deploy({"same.py": "1", "touched.py": "1", "changed.py": "2"})

    assert content(scm) == {"same.py": "1", "touched.py": "1", "changed.py": "2"}
    # Of equal time and size, it would run from the compiled code of the version before.
    assert (scm.web_root / "changed.py").stat().st_mtime != 1_767_323_046
    assert (scm.web_root / "same.py").stat().st_ino == node
    assert (scm.web_root / "touched.py").stat().st_mtime == 1_767_323_046


def test_an_empty_package_clears_what_was_deployed_and_clean_clears_everything(scm: ScmProcess) -> None:
    """§15 item 22."""
    scm.deploy({"a": "1"})
    (scm.web_root / "uploaded").write_text("by hand")

    assert scm.deploy({}).status_code == 200
    assert content(scm) == {"uploaded": "by hand"}
    assert scm.deploy({"b": "1"}, clean="true").status_code == 200
    assert content(scm) == {"b": "1"}


def test_clean_removes_links_and_not_what_they_lead_to(scm: ScmProcess) -> None:
    (scm.home / "data").mkdir(exist_ok=True)
    (scm.home / "data/keep").write_text("x")
    (scm.web_root / "link").symlink_to(scm.home / "data")

    scm.deploy({"b": "1"}, clean="true")

    assert os.listdir(scm.web_root) == ["b"]
    assert (scm.home / "data/keep").exists()


def test_web_config_is_compared_by_content_and_touched_at_the_end(scm: ScmProcess) -> None:
    scm.deploy({"web.config": "<configuration/>"})
    before = (scm.web_root / "web.config").stat()

    scm.deploy({"web.config": "<configuration/>"})
    after = (scm.web_root / "web.config").stat()
    log = scm.log_text(scm.latest()["id"])

    assert after.st_mtime_ns > before.st_mtime_ns
    assert "Copying file" not in log


def test_a_setting_keeps_web_config_untouched(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(SCM_TOUCH_WEBCONFIG_AFTER_DEPLOYMENT="0")

    scm.deploy({"web.config": "<configuration/>"})

    assert (scm.web_root / "web.config").stat().st_mtime == 1_767_323_046


def test_a_file_in_the_place_of_a_folder_that_still_holds_uploads_fails_before_anything_changes(
    scm: ScmProcess,
) -> None:
    scm.deploy({"thing/a": "1"})
    (scm.web_root / "thing/uploaded").write_text("by hand")

    answer = scm.deploy({"thing": "2", "new": "2"})

    assert answer.status_code == 200
    assert scm.latest()["status"] == 3
    assert "still holds 'thing/uploaded'" in scm.latest()["status_text"]
    assert content(scm) == {"thing/a": "1", "thing/uploaded": "by hand"}


def test_files_and_folders_may_change_places(scm: ScmProcess) -> None:
    scm.deploy({"one/a": "1", "two": "1"})
    scm.deploy({"one": "2", "two/b": "2"})

    assert content(scm) == {"one": "2", "two/b": "2"}


def test_the_log_has_kudus_entries(scm: ScmProcess) -> None:
    """§4.5, §15 item 28."""
    scm.deploy({"app.py": "1"})
    identity = scm.latest()["id"]

    entries = scm.client.get(f"/api/deployments/{identity}/log").json()
    command = next(entry for entry in entries if entry["message"] == "Running deployment command...")
    children = scm.client.get(command["details_url"]).json()

    assert [entry["message"] for entry in entries] == [
        "Updating submodules.",
        f"Preparing deployment for commit id '{identity[:10]}'.",
        "Generating deployment script.",
        "Running deployment command...",
        "Running post deployment command(s)...",
        "Triggering recycle (preview mode disabled).",
        "Deployment successful.",
    ]
    assert set(entries[0]) == {"log_time", "id", "message", "type", "details_url"}
    assert entries[0]["details_url"] is None
    assert (
        command["details_url"] == f"http://hello.scm.localhost/api/deployments/{identity}/log/{command['id']}"
    )
    assert children[0]["message"].startswith("Command: ")
    assert {child["id"] for child in children} == {""}
    assert "Copying file: 'app.py'" in [child["message"] for child in children]


def test_unknown_ids_are_404_everywhere(scm: ScmProcess) -> None:
    """§15 item 27."""
    scm.deploy({"a": "1"})
    identity = scm.latest()["id"]
    first = scm.client.get(f"/api/deployments/{identity}/log").json()[0]["id"]

    for path in (
        "none",
        "none/log",
        "none/log/x",
        "latest/log",
        f"{identity}/log/x",
        f"{identity}/log/{first}",
        "..%2fx",
        "LATEST",
    ):
        assert scm.client.get(f"/api/deployments/{path}").status_code == 404, path
    assert scm.client.get("/api/deployments/none").json() == {"Message": "Deployment 'none' not found."}
    assert scm.client.delete("/api/deployments/none").status_code == 404


def test_latest_of_a_site_without_deployments_is_404_and_the_list_is_empty(scm: ScmProcess) -> None:
    assert scm.client.get("/api/deployments/latest").status_code == 404
    assert scm.client.get("/api/deployments").json() == []


def test_the_active_deployment_cannot_be_deleted_and_another_can(scm: ScmProcess) -> None:
    """§15 item 29."""
    scm.deploy({"a": "1"})
    first = scm.latest()["id"]
    scm.deploy({"a": "2"})
    second = scm.latest()["id"]

    assert scm.client.delete(f"/api/deployments/{second}").status_code == 409
    assert scm.client.delete(f"/api/deployments/{first}").status_code == 204
    assert scm.client.get(f"/api/deployments/{first}").status_code == 404
    assert content(scm) == {"a": "2"}


def test_the_list_has_an_etag_per_query_that_changes_with_any_record(scm: ScmProcess) -> None:
    """§15 item 32."""
    scm.deploy({"a": "1"})
    tag = scm.client.get("/api/deployments").headers["etag"]

    assert scm.client.get("/api/deployments", headers={"If-None-Match": tag}).status_code == 304
    assert scm.client.get("/api/deployments?x=1", headers={"If-None-Match": tag}).status_code == 200
    scm.deploy({"a": "2"})
    assert scm.client.get("/api/deployments", headers={"If-None-Match": tag}).status_code == 200


def test_the_list_is_newest_first_and_keeps_ten(scm: ScmProcess) -> None:
    for number in range(12):
        scm.deploy({"a": "1"}, message=str(number))

    messages = [record["message"] for record in scm.client.get("/api/deployments").json()]

    assert messages == [str(number) for number in range(11, 1, -1)]


def test_of_two_pushes_at_once_one_deploys_and_the_other_is_409(scm: ScmProcess) -> None:
    """§15 item 23."""
    upload = SlowUpload(scm, packed({"a": "1"}))

    refused = scm.deploy({"b": "1"})

    assert refused.status_code == 409
    assert refused.headers["content-type"].startswith("text/plain")
    assert "'Preparing zip package' has been in progress since" in refused.text
    assert scm.client.delete("/api/settings/x").status_code == 409
    assert upload.finish().status_code == 200
    assert content(scm) == {"a": "1"}


def begin_deployment(scm: ScmProcess, *, seconds: int) -> None:
    """Push a package whose command takes so long, and return once the command runs."""
    scm.client.post("/api/settings", json={"COMMAND": f"echo x > D:\\home\\started && sleep {seconds}"})
    scm.deploy({"a": "1"}, isAsync="true")
    wait_for((scm.home / "started").exists)


def test_a_push_during_a_deployment_is_told_so(scm: ScmProcess) -> None:
    begin_deployment(scm, seconds=3)

    refused = scm.deploy({"b": "1"})

    assert (refused.status_code, "deployment currently in progress" in refused.text) == (409, True)
    assert scm.latest()["status"] == 4


def test_whoever_reads_that_a_deployment_is_complete_can_push_the_next_one(scm: ScmProcess) -> None:
    with socket.create_server(("127.0.0.1", 0)) as subscriber:  # its answer ends the first deployment
        address = f"http://127.0.0.1:{subscriber.getsockname()[1]}/"
        scm.client.post("/api/hooks", json={"url": address, "event": "PostDeployment"})
        scm.deploy({"a": "1"}, isAsync="true")
        told, _ = subscriber.accept()
        assert (scm.latest()["complete"], DeploymentLock(scm.home, instance="").is_held()) == (True, True)

        package = packed({"b": "1"})
        with socket.socket(socket.AF_UNIX) as push, told:
            push.connect(str(scm.folder / "scm.sock"))
            head = f"POST /api/zipdeploy HTTP/1.1\r\nHost: x\r\nContent-Length: {len(package)}\r\n\r\n"
            push.sendall(head.encode() + package)
            for _ in range(3):  # what was sent before them has been looked at by now
                scm.latest()
            told.sendall(b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n")
            assert push.recv(12) == b"HTTP/1.1 200"

    assert content(scm) == {"b": "1"}


def test_an_upload_that_breaks_off_gives_the_lock_back_and_leaves_nothing(scm: ScmProcess) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(scm.folder / "scm.sock"))
        connection.sendall(b"POST /api/zipdeploy HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nPK")
        wait_for(lambda: list((scm.home / "data/.homeport").glob("zipdeploy/*/*")))

    wait_for(lambda: scm.deploy({"a": "1"}).status_code == 200)
    assert len(scm.client.get("/api/deployments").json()) == 1


def test_a_killed_process_leaves_a_failed_deployment_and_a_free_lock(scm: ScmProcess) -> None:
    begin_deployment(scm, seconds=60)
    scm.process.kill()
    scm.process.wait()
    scm.start()

    record = scm.latest()

    assert (record["status"], record["complete"]) == (3, True)
    assert "interrupted" in record["status_text"]
    assert "Deployment Failed." in scm.log_text(record["id"])
    scm.client.delete("/api/settings/COMMAND")
    assert scm.deploy({"a": "1"}).status_code == 200
    assert scm.latest()["status"] == 4


def test_sigterm_fails_a_running_deployment(scm: ScmProcess) -> None:
    begin_deployment(scm, seconds=60)
    scm.process.terminate()
    assert scm.process.wait(timeout=5) == 0
    scm.start()

    assert scm.latest()["status"] == 3
    assert "SCM site was stopped" in scm.latest()["status_text"]


def test_a_replaced_process_finishes_its_deployment_while_the_next_one_answers(scm: ScmProcess) -> None:
    begin_deployment(scm, seconds=3)
    replaced = scm.process
    replaced.send_signal(signal.SIGUSR2)
    scm.start()

    assert (scm.latest()["status"], scm.latest()["status_text"]) == (4, "")
    assert replaced.wait(timeout=10) == 0
    assert content(scm) == {}, "COMMAND copies nothing by itself"


def test_sigterm_fails_the_deployment_of_a_replaced_process_too(scm: ScmProcess) -> None:
    begin_deployment(scm, seconds=60)
    replaced = scm.process
    replaced.send_signal(signal.SIGUSR2)
    scm.start()
    replaced.terminate()

    assert replaced.wait(timeout=5) == 0
    assert scm.latest()["status"] == 3


def test_a_running_deployment_keeps_the_process_from_ending_idle(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm(HOMEPORT_SCM_IDLE_SECONDS="0.3")
    (scm.home / "site/deployments").mkdir(parents=True)
    (scm.home / "site/deployments/settings.xml").write_text(
        '<settings><deployment><add key="COMMAND" value="sleep 1.5"/></deployment></settings>'
    )

    scm.deploy({"a": "1"}, isAsync="true")

    assert scm.process.wait(timeout=20) == 0
    active = scm.home / "site/deployments/active"
    assert active.read_text()


def test_a_corrupt_package_is_500_and_a_failed_temporary_record(scm: ScmProcess) -> None:
    body = bytearray(packed({"a": "x" * 1000}))
    body[45] ^= 0xFF

    answer = scm.deploy(bytes(body))

    assert answer.status_code == 500
    assert answer.json()["ExceptionMessage"]
    record = scm.latest()
    assert (record["status"], record["is_temp"]) == (3, True)
    assert record["id"].startswith("temp-")
    assert content(scm) == {}


def test_what_is_no_zip_at_all_fails(scm: ScmProcess) -> None:
    assert scm.deploy(b"no zip").status_code == 500
    assert scm.deploy(b"").status_code == 500
    assert scm.deploy(b"no zip", isAsync="true").status_code == 202
    record = scm.latest()
    assert (record["status"], record["provisioningState"]) == (3, "Failed")
    assert "not a zip" in scm.log_text(record["id"])


def test_a_package_that_does_not_fit_fails_while_the_content_stays(scm: ScmProcess) -> None:
    scm.deploy({"a": "old"})
    resource.prlimit(scm.process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    answer = scm.deploy({"a": "new", "big": "x" * 3_000_000})

    assert answer.status_code == 500
    assert "File too large" in answer.json()["ExceptionMessage"]
    assert "File too large" in scm.log_text(scm.latest()["id"])
    assert content(scm) == {"a": "old"}
    assert list((scm.home / "data/.homeport").glob("zipdeploy/*")) == []


def test_an_upload_that_does_not_fit_is_500_without_a_record(scm: ScmProcess) -> None:
    resource.prlimit(scm.process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    answer = scm.deploy(os.urandom(3_000_000))

    assert answer.status_code == 500
    assert "File too large" in answer.json()["ExceptionMessage"]
    assert scm.client.get("/api/deployments").json() == []
    assert scm.deploy({"a": "1"}).status_code == 200


def test_run_from_a_remote_package_is_409(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="https://example.com/a.zip")

    answer = scm.deploy({"a": "1"})

    assert answer.status_code == 409
    assert "Run-From-Zip is set to a remote URL" in answer.text


class TestSwitches:
    """The build switch and `.deployment` (§15 item 24)."""

    @staticmethod
    def built(scm: ScmProcess) -> bool:
        text = scm.log_text(scm.latest()["id"])
        assert ("KuduSync --python" in text) != ("KuduSync --basic" in text)
        return "KuduSync --python" in text

    def test_building_is_off_by_default(self, scm: ScmProcess) -> None:
        scm.deploy({"a": "1"})
        assert not self.built(scm)

    def test_the_file_in_the_package_turns_it_on_and_is_not_copied(self, scm: ScmProcess) -> None:
        scm.deploy(
            {".deployment": "[config]\nscm_do_build_during_deployment = true\n", "a": "1", ".git/x": "1"}
        )
        assert self.built(scm)
        assert content(scm) == {"a": "1"}

    def test_an_app_setting_beats_the_file(self, start_scm: Callable[..., ScmProcess]) -> None:
        scm = start_scm(SCM_DO_BUILD_DURING_DEPLOYMENT="0")
        scm.deploy({".deployment": "[config]\nSCM_DO_BUILD_DURING_DEPLOYMENT = true\n"})
        assert not self.built(scm)

    def test_a_site_setting_beats_the_app_setting(self, start_scm: Callable[..., ScmProcess]) -> None:
        scm = start_scm(SCM_DO_BUILD_DURING_DEPLOYMENT="0")
        scm.client.post("/api/settings", json={"scm_do_build_during_deployment": "true"})
        scm.deploy({"a": "1"})
        assert self.built(scm)

    def test_project_selects_a_folder(self, scm: ScmProcess) -> None:
        scm.deploy({".deployment": "[config]\nproject = src\\web\n", "src/web/app.py": "1", "other": "1"})
        assert content(scm) == {"app.py": "1"}

    @pytest.mark.parametrize("project", ["none", "../../../..", "/etc"])
    def test_a_project_that_is_no_folder_of_the_package_fails(self, scm: ScmProcess, project: str) -> None:
        scm.deploy({".deployment": f"[config]\nproject = {project}\n", "a": "1"})
        assert scm.latest()["status"] == 3
        assert content(scm) == {}


class TestScripts:
    """Custom commands and post-deployment actions (§12.2, §12.6; §15 items 33, 36, 37)."""

    def test_a_custom_command_replaces_the_copy(self, scm: ScmProcess) -> None:
        scm.deploy(
            {
                ".deployment": "[config]\ncommand = deploy.cmd\n",
                "deploy.cmd": "@echo off\r\necho deploying %SCM_COMMIT_ID%\r\ncopy app.py %DEPLOYMENT_TARGET%\\out.py\r\n",
                "app.py": "1",
            }
        )

        record = scm.latest()
        assert record["status"] == 4
        assert f"deploying {record['id']}" in scm.log_text(record["id"])
        assert content(scm) == {"out.py": "1"}

    def test_a_command_that_fails_is_200_and_a_failed_record(self, scm: ScmProcess) -> None:
        """§15 item 33."""
        scm.client.post("/api/settings", json={"COMMAND": "echo problem>&2 && exit 5"})

        answer = scm.deploy({"a": "1"})

        record = scm.latest()
        assert (answer.status_code, answer.content) == (200, b"")
        assert (record["status"], record["last_success_end_time"], record["active"]) == (3, None, False)
        log = scm.log_text(record["id"])
        assert "problem" in log
        assert "exit code 5" in log
        assert "post deployment" not in log

    def test_an_idle_command_is_ended(self, scm: ScmProcess) -> None:
        """§15 item 36."""
        scm.client.post(
            "/api/settings", json={"COMMAND": "echo so far && sleep 60", "SCM_COMMAND_IDLE_TIMEOUT": "1"}
        )

        scm.deploy({"a": "1"})

        record = scm.latest()
        assert record["status"] == 3
        log = scm.log_text(record["id"])
        assert "was aborted due to no output nor CPU activity for" in log
        assert "\n  so far \n" in log

    def test_what_a_command_says_is_in_the_log_while_it_runs(self, scm: ScmProcess) -> None:
        wait = "bash -c 'echo begun; echo doubtful >&2; while [ ! -e ~/go ]; do sleep 0.05; done; echo done'"
        scm.client.post("/api/settings", json={"COMMAND": wait})

        scm.deploy({"a": "1"}, isAsync="true")
        running = wait_for(
            lambda: [each for each in scm.client.get("/api/deployments").json() if not each["is_temp"]]
        )
        wait_for(lambda: "\n  begun" in scm.log_text(running[0]["id"]))
        assert scm.client.get("/api/deployments").json()[0]["complete"] is False
        (scm.home / "go").touch()

        record = scm.latest()
        log = scm.log_text(record["id"])
        assert record["status"] == 4
        assert [log.count(f"\n  {word}\n") for word in ("begun", "doubtful", "done")] == [1, 1, 1]

    def test_actions_run_in_order_and_the_first_failure_ends_the_deployment(self, scm: ScmProcess) -> None:
        """§15 item 37."""
        folder = scm.home / "site/deployments/tools/PostDeploymentActions"
        folder.mkdir(parents=True)
        (folder / "b.cmd").write_text("@echo off\r\necho second %SCM_COMMIT_ID%\r\nexit 1\r\n")
        (folder / "A.bat").write_text("@echo off\r\necho first\r\n")
        (folder / "c.cmd").write_text("echo third\r\n")
        (folder / "0.sh").write_text("echo none\n")

        scm.deploy({"a": "1"})

        record = scm.latest()
        lines = scm.log_text(record["id"]).splitlines()
        at = lines.index("Running post deployment command(s)...")
        assert record["status"] == 3
        assert lines[at + 1 : at + 5] == ["A", "  first", "b", f"  second {record['id']}"]
        assert "third" not in "\n".join(lines)


class TestArm:
    """ARM mode (§0.4, §3.2, §4.2, §4.3)."""

    SITE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/hello"

    def headers(self, tail: str) -> dict[str, str]:
        return {"x-ms-geo-location": "West Europe", "Referer": f"https://management.example{self.SITE}{tail}"}

    def test_a_push_is_always_asynchronous_and_wrapped(self, scm: ScmProcess) -> None:
        answer = scm.client.post(
            "/api/zipdeploy",
            content=packed({"a": "1"}),
            headers=self.headers("/extensions/zipdeploy?api-version=1"),
        )

        assert answer.status_code == 202
        assert answer.json()["properties"]["provisioningState"] == "InProgress"
        assert answer.headers["location"].startswith(
            f"https://management.example{self.SITE}/deployments/latest?api-version=2018-02-01&deployer=ZipDeploy&time="
        )
        assert scm.latest()["status"] == 4

    def test_lists_and_records_are_wrapped(self, scm: ScmProcess) -> None:
        scm.deploy({"a": "1"})
        identity = scm.latest()["id"]

        listed = scm.client.get("/api/deployments", headers=self.headers("/deployments")).json()["value"][0]
        one = scm.client.get(
            f"/api/deployments/{identity}", headers=self.headers(f"/deployments/{identity}")
        ).json()
        missing = scm.client.get("/api/deployments/none", headers=self.headers("/deployments/none"))

        assert listed == {**one, "properties": listed["properties"]}
        assert listed["id"] == f"{self.SITE}/deployments/{identity}"
        assert listed["name"] == f"hello/{identity}"
        assert listed["type"] == "Microsoft.Web/sites/deployments"
        assert listed["location"] == "West Europe"
        assert missing.json()["error"]["code"] == "NotFound"


class Packages(http.server.ThreadingHTTPServer):
    """A web server that has one package."""

    package = packed({"fetched": "1"})

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header(
                "Location", "file:///etc/passwd" if "file" in self.path else "/package.zip?sig=secret"
            )
            self.end_headers()
            return
        found = self.path.startswith("/package.zip")
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(Packages.package)))
        self.end_headers()
        self.wfile.write(Packages.package)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def packages() -> Iterator[Packages]:
    server = Packages(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class TestPackageUri:
    """A package fetched from an address (§3.2)."""

    @pytest.mark.parametrize("path", ["/package.zip?sig=secret", "/redirect"])
    def test_it_is_fetched_and_deployed(self, scm: ScmProcess, packages: Packages, path: str) -> None:
        answer = scm.client.post("/api/zipdeploy", json={"packageUri": packages.address + path})

        assert answer.status_code == 200
        assert content(scm) == {"fetched": "1"}

    def test_it_may_go_to_another_folder_of_home(self, scm: ScmProcess, packages: Packages) -> None:
        body = {"packageUri": packages.address + "/package.zip", "targetPath": r"D:\home\site\tools"}

        assert scm.client.post("/api/zipdeploy", json=body).status_code == 200
        assert (scm.home / "site/tools/fetched").read_text() == "1"

    @pytest.mark.parametrize("path", ["/none?sig=secret", "/redirect-file"])
    def test_one_that_cannot_be_had_is_500_without_its_signature(
        self, scm: ScmProcess, packages: Packages, path: str
    ) -> None:
        answer = scm.client.post("/api/zipdeploy", json={"packageUri": packages.address + path})

        assert answer.status_code == 500
        assert scm.latest()["status"] == 3
        assert "secret" not in answer.text + scm.log_text(scm.latest()["id"])

    @pytest.mark.parametrize(
        "address", [None, "", "relative/a.zip", "file:///etc/passwd", "ftp://x/a.zip", 5]
    )
    def test_an_address_that_is_not_http_is_400(self, scm: ScmProcess, address: object) -> None:
        assert scm.client.post("/api/zipdeploy", json={"packageUri": address}).status_code == 400
        assert (
            scm.client.post(
                "/api/zipdeploy", json={"packageUri": "http://x/", "targetPath": "/etc"}
            ).status_code
            == 400
        )
        assert scm.client.get("/api/deployments").json() == []


def test_leftovers_of_deployments_that_died_are_removed_by_the_next(scm: ScmProcess) -> None:
    left: Path = scm.home / "data/.homeport/zipdeploy/dead/extracted"
    left.mkdir(parents=True)

    scm.deploy({"a": "1"})

    assert not left.exists()
