"""The exact calls of the `kudu.py` client of azure-webapp-publish (Kudu reference §14)."""

from datetime import datetime
from pathlib import Path

import httpx
import pytest
from conftest import ScmProcess


@pytest.fixture
def client(scm: ScmProcess) -> httpx.Client:
    """One session with `If-Match: *` on every request, redirects followed."""
    scm.client.headers["If-Match"] = "*"
    scm.client.follow_redirects = True
    return scm.client


def deployed_files(client: httpx.Client, folder: str = "site/wwwroot") -> dict[str, datetime]:
    """List recursively, with the double slash the client always sends."""
    answer = client.get(f"/api/vfs/{folder}//").raise_for_status()
    found: dict[str, datetime] = {}
    for entry in answer.json():
        assert datetime.fromisoformat(entry["crtime"]).tzinfo is not None
        if entry["mime"] == "inode/directory":
            found |= deployed_files(client, f"{folder}/{entry['name']}")
        else:
            found[f"{folder}/{entry['name']}"] = datetime.fromisoformat(entry["mtime"])
    return found


def test_the_client_publishes_updates_and_removes_files(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("one")

    for path in ("app.py", "static/css/site.css"):
        with (tmp_path / "app.py").open("rb") as file:
            assert client.put(f"/api/vfs/site/wwwroot//{path}", content=file).status_code == 201
    first = deployed_files(client)
    client.put("/api/vfs/site/wwwroot//app.py", content=iter([b"t", b"wo"])).raise_for_status()
    client.delete("/api/vfs/site/wwwroot//static/css/site.css").raise_for_status()

    assert set(first) == {"site/wwwroot/app.py", "site/wwwroot/static/css/site.css"}
    assert set(deployed_files(client)) == {"site/wwwroot/app.py"}
    assert client.get("/api/vfs/site/wwwroot//app.py").text == "two"


def test_the_client_runs_commands(client: httpx.Client) -> None:
    answer = client.post("/api/command", json={"command": "echo ok", "dir": r"D:\home\site\wwwroot"})

    assert answer.raise_for_status().json() == {"Output": "ok\n", "Error": "", "ExitCode": 0}
