"""Diagnostics, hooks, keys and the repository, against Kudu reference §4.6, §5.4 to §5.8, §7.1, §9.2 and §15 items 38, 39."""

import base64
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import ScmProcess, wait_for
from cryptography.hazmat.primitives import serialization

DEFAULTS = {
    "AzureDriveEnabled": False,
    "AzureDriveTraceLevel": "Error",
    "AzureTableEnabled": False,
    "AzureTableTraceLevel": "Error",
    "AzureBlobEnabled": False,
    "AzureBlobTraceLevel": "Error",
}


class Subscriber:
    """A web server that keeps what it is sent."""

    def __init__(self, status: int = 200) -> None:
        received: list[tuple[dict[str, str], object]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(
                    ({key.lower(): value for key, value in self.headers.items()}, json.loads(body))
                )
                self.send_response(status)
                self.end_headers()
                self.wfile.write(b"thanks")

            def log_message(self, *_: object) -> None: ...

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    made = Subscriber()
    yield made
    made.close()


def test_15_38_diagnostics_settings_show_six_defaults_and_keep_others(scm: ScmProcess) -> None:
    client, path = scm.client, "/api/diagnostics/settings"

    assert client.get(path).json() == DEFAULTS
    sent = {"AzureDriveEnabled": True, "azuretabletracelevel": "verbose", "mine": 3}
    assert client.post(path, json=sent).status_code == 204
    assert client.get(path).json() == {
        **DEFAULTS,
        "AzureDriveEnabled": True,
        "AzureTableTraceLevel": "Verbose",
        "mine": 3,
    }
    assert client.get(f"{path}/AzureTableTraceLevel").json() == "Verbose"
    assert client.get(f"{path}/none").status_code == 404
    assert client.delete(f"{path}/mine").status_code == 204
    assert client.delete(f"{path}/mine").status_code == 204
    assert client.get("/diagnostics/settings/mine").status_code == 404


@pytest.mark.parametrize("sent", [{"AzureDriveEnabled": "maybe"}, {"AzureBlobTraceLevel": 2}])
def test_5_5_an_impossible_value_is_500_and_changes_nothing(scm: ScmProcess, sent: dict[str, object]) -> None:
    assert scm.client.post("/api/diagnostics/settings", json=sent).status_code == 500
    assert scm.client.get("/api/diagnostics/settings").json() == DEFAULTS
    assert scm.client.post("/api/diagnostics/settings", content=b"").status_code == 400


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\0" * 40, b"[]", b'{"AzureDriveTraceLevel": 1}', b"[" * 99999]
)
def test_15_38_a_corrupt_settings_file_is_deleted(scm: ScmProcess, content: bytes) -> None:
    file = scm.home / "site/diagnostics/settings.json"
    file.parent.mkdir(parents=True)
    file.write_bytes(content)

    assert scm.client.get("/api/diagnostics/settings").json() == DEFAULTS
    assert not file.exists()


def test_15_39_recent_logs_are_newest_first_with_messages_of_several_lines(scm: ScmProcess) -> None:
    folder = scm.home / "LogFiles/Application"
    folder.mkdir(parents=True)
    (folder / "web-1.txt").write_text(
        "a line before any entry\n"
        "2026-01-02T03:04:05  PID[12] Information  first\n"
        "2026-01-02T03:04:07  PID[12] Error       Traceback\n  File x\nValueError\n"
        "2026-01-02T03:04:08  PID[12] Verbose     not an entry\n"
    )
    (folder / "web-2.txt").write_text("2026-01-02T03:04:06  PID[7] Warning  second\n")
    (folder / "x-logging-errors.txt").write_text("2026-01-02T03:04:09  PID[7] Warning  excluded\n")
    (folder / "link-1.txt").symlink_to("/etc/passwd")

    entries = scm.client.get("/api/logs/recent").json()

    assert entries[0] == {
        "timestamp": "2026-01-02T03:04:07+00:00",
        "level": "Error",
        "pid": 12,
        "message": "Traceback\n  File x\nValueError\n2026-01-02T03:04:08  PID[12] Verbose     not an entry",
    }
    assert [entry["message"] for entry in entries[1:]] == ["second", "first"]
    assert len(scm.client.get("/api/logs/recent?top=1").json()) == 1
    assert len(scm.client.get("/api/logs/recent?top=0").json()) == 3
    assert scm.client.get("/logs/recent").status_code == 404


def test_9_2_without_logs_the_list_is_empty(scm: ScmProcess) -> None:
    assert scm.client.get("/api/logs/recent").json() == []


def test_5_6_the_dump_holds_deployments_and_logs_and_no_secret(scm: ScmProcess) -> None:
    scm.deploy({"a.txt": "a"})
    scm.client.post("/api/settings", json={"PASSWORD": "hidden-value"})
    (scm.home / "LogFiles/W3SVC1").mkdir(parents=True)
    (scm.home / "LogFiles/W3SVC1/u.log").write_text("x")
    (scm.home / "LogFiles/app.log").write_text("said")

    answer = scm.client.get("/api/dump?x=1")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        names = archive.namelist()
        everything = b"".join(archive.read(name) for name in names)

    assert answer.headers["content-disposition"].startswith("attachment; filename=dump-")
    assert "LogFiles/app.log" in names
    assert "deployments/active" in names
    assert any(name.endswith("/log.log") for name in names)
    assert not any("W3SVC" in name for name in names)
    assert b"hidden-value" not in everything
    assert scm.client.post("/api/dump").status_code == 405


def test_5_7_the_ssh_key_is_made_once_and_can_be_replaced(scm: ScmProcess) -> None:
    client = scm.client

    assert client.get("/api/sshkey").json() == ""
    made = client.get("/api/sshkey?ensurePublicKey=1").json()
    assert made.startswith("ssh-rsa AAAA")
    assert client.get("/sshkey?ensurePublicKey=1").json() == made
    private = scm.home / ".ssh/id_rsa"
    loaded = serialization.load_pem_private_key(private.read_bytes(), password=None)
    public = loaded.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert public.decode() == made
    assert private.stat().st_mode & 0o777 == 0o600
    assert client.put("/api/sshkey", json={"key": "PEM one\r\ntwo"}).status_code == 204
    assert private.read_text() == "PEM one\ntwo\n"
    assert client.get("/api/sshkey").json() == ""
    assert "StrictHostKeyChecking no" in (scm.home / ".ssh/config").read_text()
    assert client.put("/api/sshkey", content=b"raw PEM").status_code == 204
    assert client.put("/api/sshkey", content=b" ").status_code == 400
    assert client.delete("/api/sshkey").status_code == 204
    assert not private.exists()


def test_7_1_hooks_are_added_listed_and_removed(scm: ScmProcess) -> None:
    client, hook = (
        scm.client,
        {"url": "http://example.test/x", "event": "PostDeployment", "insecure_ssl": False},
    )

    made = client.post("/api/hooks", json=hook)
    again = client.post("/hooks", json={**hook, "url": "HTTP://EXAMPLE.test/x", "event": "postdeployment"})

    assert made.status_code == again.status_code == 201
    assert made.json() == again.json()
    assert made.json() == {
        "id": made.json()["id"],
        **hook,
        "last_status": None,
        "last_datetime": None,
        "last_reason": None,
        "last_context": None,
    }
    other = client.post("/api/hooks", json={**hook, "event": "Other"})
    assert (other.status_code, other.content) == (409, b"")
    assert client.post("/api/hooks", content=b"").status_code == 400
    assert client.post("/api/hooks", json={"url": "not a url", "event": "x"}).status_code == 500
    assert client.get(f"/api/hooks/{made.json()['id']}").json() == made.json()
    assert client.get("/api/hooks/none").json() is None
    assert client.delete("/api/hooks/none").status_code == 200
    assert client.delete(f"/api/hooks/{made.json()['id']}").status_code == 200
    assert client.get("/api/hooks").json() == []


def test_7_1_a_finished_deployment_is_told_to_its_subscribers(
    scm: ScmProcess, subscriber: Subscriber
) -> None:
    scm.client.post(
        "/api/hooks", json={"url": f"http://me:pass@{subscriber.host}/", "event": "PostDeployment"}
    )
    scm.client.post("/api/hooks", json={"url": f"http://{subscriber.host}/other", "event": "Other"})

    assert scm.deploy({"a.txt": "a"}).status_code == 200
    assert scm.deploy({"a.txt": "b", ".deployment": "[config]\ncommand = exit 3\n"}).status_code == 200
    wait_for(lambda: len(subscriber.received) == 2)

    headers, payload = subscriber.received[0]
    assert headers["authorization"] == "Basic " + base64.b64encode(b"me:pass").decode()
    assert isinstance(payload, dict)
    assert (payload["status"], payload["siteName"], payload["complete"]) == ("success", "hello", True)
    assert subscriber.received[1][1]["status"] == "failed"  # type: ignore[index]
    told = wait_for(lambda: [hook for hook in scm.client.get("/api/hooks").json() if hook["last_status"]])
    assert (told[0]["last_status"], told[0]["last_context"]) == ("200", "thanks")


def test_7_1_a_subscriber_that_is_gone_is_forgotten(scm: ScmProcess) -> None:
    gone = Subscriber(410)
    try:
        scm.client.post("/api/hooks", json={"url": f"http://{gone.host}/", "event": "mine"})
        assert scm.client.post("/api/hooks/publish/MINE", json={"x": 1}).status_code == 200
    finally:
        gone.close()

    assert gone.received[0][1] == {"x": 1}
    assert scm.client.get("/api/hooks").json() == []


def test_4_6_there_is_no_deployment_script(scm: ScmProcess) -> None:
    answer = scm.client.get("/api/deploymentscript")

    assert answer.status_code == 404
    assert "Homeport copies" in answer.json()["Message"]
    assert scm.client.get("/deploymentscript").json().startswith("No route registered")


def test_5_4_deleting_the_repository_keeps_content_that_the_next_deployment_cleans(scm: ScmProcess) -> None:
    scm.deploy({"old.txt": "o"})
    (scm.home / "site/repository/.git").mkdir(parents=True)
    (scm.web_root / "mine.txt").write_text("m")

    assert scm.client.delete("/api/scm").status_code == 204
    assert scm.client.get("/api/deployments").json() == []
    assert not (scm.home / "site/repository").exists()
    assert (scm.web_root / "old.txt").exists()
    scm.deploy({"new.txt": "n"})

    assert {path.name for path in scm.web_root.iterdir()} == {"new.txt", "mine.txt"}


def test_5_4_deleting_with_the_web_root_empties_it(scm: ScmProcess, tmp_path: Path) -> None:
    scm.deploy({"old.txt": "o", "d/e.txt": "e"})
    (tmp_path / "kept.txt").write_text("k")
    (scm.web_root / "link").symlink_to(tmp_path)

    assert scm.client.delete("/api/scm?deleteWebRoot=1").status_code == 204

    assert [*scm.web_root.iterdir()] == []
    assert (tmp_path / "kept.txt").exists()


def test_5_8_runtime_versions(scm: ScmProcess) -> None:
    found = scm.client.get("/api/diagnostics/runtime?allVersions=true").json()

    assert found["system"]["os_name"] == "Linux"
    assert found["system"]["cores"] >= 1
    assert {"nodejs", "dotnetcore32", "dotnetcore64", "aspnetcoremodule", "python"} <= set(found)
