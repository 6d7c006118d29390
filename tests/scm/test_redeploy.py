"""Kept deployments are carried out again; records of others are stored (Kudu reference §4.4, §15 items 30, 31)."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import ScmProcess

from homeport.scm.deployments.record import Status


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def ids(scm: ScmProcess) -> list[str]:
    return [record["id"] for record in scm.client.get("/api/deployments").json()]


def test_an_older_deployment_comes_back_whole_without_a_new_record(scm: ScmProcess) -> None:
    """§15 item 30."""
    scm.deploy({"app.py": "old", "gone.py": "1"})
    scm.deploy({"app.py": "new", "added.py": "1"})
    (scm.web_root / "upload.txt").write_text("mine")
    newer, older = ids(scm)

    answer = scm.client.put(f"/api/deployments/{older}")

    assert (answer.status_code, answer.content) == (200, b"")
    assert tree(scm.web_root) == {"app.py": "old", "gone.py": "1", "upload.txt": "mine"}
    assert ids(scm) == [newer, older]
    record = scm.client.get(f"/api/deployments/{older}").json()
    assert (record["active"], record["status"]) == (True, 4)
    assert scm.log_text(older).count("Deployment successful.") == 1


def test_clean_removes_what_no_deployment_brought(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    (scm.web_root / "upload.txt").write_text("mine")

    scm.client.put(f"/api/deployments/{ids(scm)[0]}", json={"clean": True, "needFileUpdate": True})

    assert tree(scm.web_root) == {"app.py": "1"}


def test_a_static_file_is_published_again_to_where_it_was(scm: ScmProcess) -> None:
    scm.client.post("/api/publish?type=static&path=a/b.txt", content=b"first")
    (scm.web_root / "a/b.txt").write_text("changed")

    scm.client.put(f"/api/deployments/{ids(scm)[0]}")

    assert tree(scm.web_root) == {"a/b.txt": "first"}, scm.log_text(ids(scm)[0])


def test_one_that_failed_can_be_tried_again_and_fails_again_in_its_own_record(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "served"})
    scm.deploy({".deployment": "[config]\nCOMMAND = exit 7\n", "app.py": "other"})
    failed = ids(scm)[0]

    assert scm.client.put(f"/api/deployments/{failed}").status_code == 200

    record = scm.client.get(f"/api/deployments/{failed}").json()
    assert (record["status"], record["active"], record["last_success_end_time"]) == (3, False, None)
    assert tree(scm.web_root) == {"app.py": "served"}


def test_unknown_ids_and_forgotten_packages_are_404(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    only = ids(scm)[0]
    (scm.home / f"data/.homeport/deployments/{only}/package.zip").unlink()

    assert scm.client.put("/api/deployments/none").status_code == 404
    assert scm.client.put(f"/api/deployments/{only}").status_code == 404


def test_a_busy_site_is_409(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    only = ids(scm)[0]
    scm.client.post("/api/settings", json={"COMMAND": "sleep 20"})
    scm.deploy({"app.py": "2"}, isAsync="true")

    assert scm.client.put(f"/api/deployments/{only}").status_code == 409


def test_deleting_a_record_gives_its_space_back(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    scm.deploy({"app.py": "2"})
    older = ids(scm)[1]

    assert scm.client.delete(f"/api/deployments/{older}").status_code == 204

    assert not (scm.home / f"data/.homeport/deployments/{older}").exists()


def test_what_was_kept_of_records_that_are_gone_goes_with_the_next_deployment(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    only = ids(scm)[0]
    assert scm.client.delete("/api/scm").status_code == 204

    scm.deploy({"app.py": "2"})

    assert not (scm.home / f"data/.homeport/deployments/{only}").exists()


class TestForeignRecords:
    """Records of deployments that somebody else made."""

    body: ClassVar[dict[str, Any]] = {
        "status": 4,
        "message": "m",
        "deployer": "d",
        "author": "a",
        "details": "more",
    }

    def test_it_is_stored_once_and_becomes_the_active_one(self, scm: ScmProcess) -> None:
        """§15 item 31."""
        scm.deploy({"app.py": "1"})

        answer = scm.client.put("/api/deployments/mine", json=self.body)

        assert answer.status_code == 200
        assert (answer.json()["id"], answer.json()["active"], answer.json()["complete"]) == (
            "mine",
            True,
            True,
        )
        assert scm.log_text("mine") == "m\n  more"
        assert scm.client.put("/api/deployments/mine", json=self.body).status_code == 409
        scm.deploy({"other.py": "1"})
        assert tree(scm.web_root) == {"other.py": "1"}

    @pytest.mark.parametrize(
        ("change", "status", "active"),
        [
            ({"active": False}, 200, False),
            ({"status": 3}, 200, False),
            ({"status": 3, "active": True}, 400, None),
            ({"status": 1}, 404, None),
            ({"author": ""}, 404, None),
        ],
    )
    def test_what_may_be_stored(
        self, scm: ScmProcess, change: dict[str, Any], status: int, active: bool | None
    ) -> None:
        answer = scm.client.put("/api/deployments/mine", json={**self.body, **change})

        assert answer.status_code == status
        if active is not None:
            assert answer.json()["active"] is active
            assert Status(answer.json()["status"]) is Status(change.get("status", 4))

    def test_an_id_that_is_no_folder_name_is_400(self, scm: ScmProcess) -> None:
        assert scm.client.put("/api/deployments/..%2f..%2fx", json=self.body).status_code == 400


def test_two_deployments_are_compared_by_their_files(scm: ScmProcess) -> None:
    scm.deploy({"same": "1", "changed": "1", "gone": "1", "folder/": ""})
    scm.deploy({"same": "1", "changed": "2", "new": "1"})
    newer, older = ids(scm)

    back = scm.client.get(f"/api/homeport/deployments/{older}/diff").json()
    forth = scm.client.get(f"/api/homeport/deployments/{newer}/diff?against={older}").json()

    assert back == {
        "from": newer,
        "to": older,
        "files": {"added": ["gone"], "removed": ["new"], "changed": ["changed"]},
        "packages": {"added": [], "removed": [], "changed": []},
    }
    assert forth["files"] == {"added": ["new"], "removed": ["gone"], "changed": ["changed"]}
    assert scm.client.get("/api/homeport/deployments/none/diff").status_code == 404
