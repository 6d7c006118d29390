"""`/api/settings` (Kudu reference §5.1; conformance list §15 item 38)."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from conftest import ScmProcess


@contextmanager
def deployment_lock(scm: ScmProcess) -> Iterator[None]:
    """Hold the deployment lock as another process of the site would."""
    path = scm.home / "site/locks/deployments.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write('{"OperationName": "Testing", "AcquiredDateTime": "2026-01-01T00:00:00Z"}')
        file.flush()
        yield


def test_settings_are_set_several_at_once_and_read(scm: ScmProcess) -> None:
    answer = scm.client.post("/api/settings", json={"one": "1", "two": 2, "three": True, "four": 1.5})

    assert (answer.status_code, answer.content) == (204, b"")
    assert scm.client.get("/api/settings/one").json() == "1"
    everything = scm.client.get("/api/settings").json()
    assert everything | {"one": "1", "two": "2", "three": "True", "four": "1.5"} == everything
    assert everything["deployment_branch"] == "master"
    assert everything["SCM_COMMAND_IDLE_TIMEOUT"] == "60"


def test_the_legacy_form_sets_one_key(scm: ScmProcess) -> None:
    assert scm.client.post("/api/settings", json={"key": "a", "value": "b"}).status_code == 204
    assert scm.client.get("/api/settings/a").json() == "b"
    assert scm.client.post("/api/settings", json={"key": "", "value": "b"}).status_code == 400


def test_an_unknown_or_empty_setting_is_404(scm: ScmProcess) -> None:
    scm.client.post("/api/settings", json={"empty": ""})

    assert "Message" in scm.client.get("/api/settings/unknown").json()
    assert scm.client.get("/api/settings/unknown").status_code == 404
    assert scm.client.get("/api/settings/empty").status_code == 404
    assert scm.client.get("/api/settings").json()["empty"] == ""


def test_a_setting_hides_the_app_setting_until_it_is_deleted(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(Name="from the app")

    before = scm.client.get("/api/settings/NAME").json()
    scm.client.post("/api/settings", json={"name": "from the site"})
    during = scm.client.get("/api/settings/Name").json()
    deleted = scm.client.delete("/api/settings/NAME")

    assert (before, during) == ("from the app", "from the site")
    assert deleted.status_code == 204
    assert scm.client.get("/api/settings/name").json() == "from the app"
    assert scm.client.delete("/api/settings/NAME").status_code == 204


@pytest.mark.parametrize("body", [b"", b"null", b"{"])
def test_a_body_that_is_no_object_is_400(shared_scm: ScmProcess, body: bytes) -> None:
    answer = shared_scm.client.post(
        "/api/settings", content=body, headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.content) == (400, b"")


def test_nested_values_and_characters_that_xml_cannot_hold_are_refused(scm: ScmProcess) -> None:
    assert scm.client.post("/api/settings", json={"a": {"b": "c"}}).status_code == 400
    assert scm.client.post("/api/settings", json={"a": "\x01"}).status_code == 400
    assert "a" not in scm.client.get("/api/settings").json()


def test_the_file_is_kudus_and_survives_a_restart(scm: ScmProcess) -> None:
    scm.client.post("/api/settings", json={"quoted": '<&">\n'})
    text = (scm.home / "site/deployments/settings.xml").read_text()
    scm.process.terminate()
    scm.process.wait()
    scm.start()

    assert "<deployment>" in text
    assert 'key="quoted"' in text
    assert scm.client.get("/api/settings/quoted").json() == '<&">\n'


def test_a_broken_file_counts_as_empty(scm: ScmProcess) -> None:
    (scm.home / "site/deployments").mkdir(exist_ok=True)
    (scm.home / "site/deployments/settings.xml").write_text("<settings><deployment>")

    assert scm.client.get("/api/settings").status_code == 200


def test_writing_while_a_deployment_runs_is_409(scm: ScmProcess) -> None:
    with deployment_lock(scm):
        deleted = scm.client.delete("/api/settings/x")
        posted = scm.client.post("/api/settings", json={"x": "y"})

    for answer in (deleted, posted):
        assert answer.status_code == 409
        assert "'Testing' has been in progress since 2026-01-01" in answer.json()["Message"]
    assert scm.client.post("/api/settings", json={"x": "y"}).status_code == 204
