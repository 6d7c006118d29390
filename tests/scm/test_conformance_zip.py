"""`/api/zip` and package checks, against Kudu reference §3.1, §3.2, §3.4 and §15 items 17 to 19."""

import io
import json
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import ScmProcess, packed

ARM = {"x-ms-geo-location": "", "User-Agent": "azure-resource-manager/2.0"}


def opened(data: bytes) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(data))


@pytest.fixture
def package_server() -> Iterator[Any]:
    """Serve one package at any path below /ok, 404 elsewhere."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/ok") else 404)
            self.end_headers()
            self.wfile.write(packed({"from/afar.txt": "far"}))

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_15_17_a_zip_put_into_a_new_folder_comes_back_the_same(scm: ScmProcess) -> None:
    sent = packed({"a.txt": "one", "sub/b.bin": bytes(range(256)) * 999, "empty/": "", "ü/ß ä.txt": "x"})

    put = scm.client.put("/api/zip/site/wwwroot/new/", content=sent)
    got = scm.client.get("/api/zip/site/wwwroot/new/")

    assert (put.status_code, put.content) == (200, b"")
    assert got.headers["content-type"] == "application/zip"
    assert got.headers["content-disposition"] == "attachment; filename=new.zip"
    assert "content-length" not in got.headers
    with opened(sent) as before, opened(got.content) as after:
        assert after.testzip() is None
        assert {*after.namelist()} == {*before.namelist(), "sub/", "ü/"}
        for info in before.infolist():
            assert after.read(info.filename) == before.read(info)
            if not info.filename.endswith("/"):
                assert after.getinfo(info.filename).date_time == info.date_time


def test_15_18_extraction_truncates_longer_files_and_leaves_others(scm: ScmProcess) -> None:
    (scm.web_root / "d").mkdir()
    (scm.web_root / "d/long.txt").write_text("a long old text")
    (scm.web_root / "d/other.txt").write_text("mine")

    assert scm.client.put("/api/zip/site/wwwroot/d", content=packed({"long.txt": "short"})).status_code == 200

    assert (scm.web_root / "d/long.txt").read_text() == "short"
    assert (scm.web_root / "d/other.txt").read_text() == "mine"


def test_15_19_a_package_is_fetched_from_its_address(scm: ScmProcess, package_server: str) -> None:
    body = {"packageUri": f"{package_server}/ok.zip", "path": "deep/er"}
    answer = scm.client.put("/api/zip/site/wwwroot/", json=body)
    arm = scm.client.put("/api/zip/site/wwwroot/arm/", json={"properties": body}, headers=ARM)

    assert answer.status_code == 200
    assert (scm.web_root / "deep/er/from/afar.txt").read_text() == "far"
    assert arm.json() == {"properties": body, "provisioningState": "Succeeded"}
    assert (scm.web_root / "arm/deep/er/from/afar.txt").exists()


@pytest.mark.parametrize(
    "address", ["", "not a uri", "ftp://host/x", "http://127.0.0.1:1/x", "http://[bad", None]
)
def test_15_19_a_bad_address_is_400(scm: ScmProcess, address: str | None) -> None:
    plain = scm.client.put("/api/zip/site/wwwroot/", json={"packageUri": address})
    arm = scm.client.put("/api/zip/site/wwwroot/", json={"packageUri": address}, headers=ARM)

    assert plain.status_code == 400
    assert plain.json()["Message"]
    assert arm.status_code == 400
    assert arm.json()["error"]["code"] == "BadRequest"


def test_3_1_paths_answer_as_in_vfs(scm: ScmProcess) -> None:
    (scm.web_root / "f.txt").write_text("x")

    assert scm.client.get("/api/zip/none/").status_code == 404
    without_slash = scm.client.get("/api/zip/site?fileName=a.zip")
    assert without_slash.status_code == 307
    assert without_slash.headers["location"] == "http://hello.scm.localhost/api/zip/site/?fileName=a.zip"
    a_file = scm.client.get("/api/zip/site/wwwroot/f.txt")
    assert (a_file.status_code, a_file.content) == (404, b"")
    assert scm.client.put("/api/zip/site/nothing", content=packed({})).status_code == 404
    named = scm.client.head("/api/zip/site/?fileName=my site.zip")
    assert (named.status_code, named.content) == (200, b"")
    assert named.headers["content-disposition"] == 'attachment; filename="my site.zip"'
    assert scm.client.get("/zip/site/wwwroot/").status_code == 200
    assert scm.client.get("/api/zip/..%2f..%2f").status_code == 403


def test_a_download_holds_nothing_from_outside_the_folder_and_survives_odd_files(scm: ScmProcess) -> None:
    root = scm.web_root / "odd"
    (root / "sub").mkdir(parents=True)
    (root / "real.txt").write_text("r")
    (root / "link.txt").symlink_to("real.txt")
    (root / "outside").symlink_to("/etc/passwd")
    (root / "circle").symlink_to(root)
    os.mkfifo(root / "fifo")
    (root / "sub/old.txt").write_text("o")
    os.utime(root / "sub/old.txt", (0, 0))
    (root / os.fsdecode(b"bad-\xff")).write_text("b")

    with opened(scm.client.get("/api/zip/site/wwwroot/odd/").content) as archive:
        assert {*archive.namelist()} == {"sub/", "sub/old.txt", "real.txt", "link.txt", "bad-?"}
        assert archive.getinfo("sub/old.txt").date_time == (1980, 1, 1, 0, 0, 0)


@pytest.mark.parametrize(
    "name", ["../evil.txt", "a/../../evil.txt", "/evil.txt", "C:\\evil.txt", "..\\evil.txt"]
)
def test_a_hostile_zip_is_refused_whole(scm: ScmProcess, name: str) -> None:
    answer = scm.client.put("/api/zip/site/wwwroot/x/", content=packed({"good.txt": "g", name: "e"}))

    assert answer.status_code == 400
    assert "evil" in answer.json()["Message"]
    assert not (scm.web_root / "x/good.txt").exists()
    assert not [*scm.home.rglob("evil.txt")]


def test_a_zip_does_not_write_through_a_link_that_leads_out(scm: ScmProcess, tmp_path: Path) -> None:
    (scm.web_root / "x").mkdir()
    (scm.web_root / "x/out").symlink_to(tmp_path)
    (scm.web_root / "x/file.txt").symlink_to(tmp_path / "victim.txt")

    refused = scm.client.put("/api/zip/site/wwwroot/x/", content=packed({"out/evil.txt": "e"}))
    replaced = scm.client.put("/api/zip/site/wwwroot/x/", content=packed({"file.txt": "mine"}))

    assert refused.status_code == 400
    assert replaced.status_code == 200
    assert [*tmp_path.iterdir()] == []
    assert (scm.web_root / "x/file.txt").read_text() == "mine"


def test_corrupt_bodies_and_clashes_are_400_and_leave_no_waste(scm: ScmProcess) -> None:
    (scm.web_root / "folder").mkdir()

    broken = scm.client.put("/api/zip/site/wwwroot/", content=b"no zip at all")
    clash = scm.client.put("/api/zip/site/wwwroot/", content=packed({"folder": "a file"}))

    assert broken.status_code == 400
    assert "ExceptionMessage" in broken.json()
    assert clash.status_code == 400
    assert [*(scm.home / "data/.homeport/zip").iterdir()] == []


def test_3_2_validation_checks_the_package_itself(scm: ScmProcess, package_server: str) -> None:
    client = scm.client

    good = client.post("/api/zipdeploy/validate", params={"packageUri": f"{package_server}/ok"})
    gone = client.post("/api/zipdeploy/validate", params={"packageUri": f"{package_server}/no"})
    dotnet = client.post("/zipdeploy/validate?zipLanguage=dotnet&zipIs64Bit=true")

    assert (good.status_code, good.json()) == (200, {"result": "The package can be deployed."})
    assert gone.status_code == 400
    assert gone.json()["result"].startswith("ERROR: ")
    assert dotnet.status_code == 400
    assert dotnet.json()["result"].startswith("WARNING: ")
    assert client.post("/api/zipdeploy/validate?zipLanguage=python").json() == {"result": ""}


def test_3_4_wardeploy_says_that_it_is_not_supported(scm: ScmProcess) -> None:
    answer = scm.client.post("/api/wardeploy", content=b"war")

    assert answer.status_code == 501
    assert "/api/zipdeploy" in json.loads(answer.content)["Message"]
    assert scm.client.post("/wardeploy", content=b"war").status_code == 404
