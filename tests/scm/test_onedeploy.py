"""`/api/publish`: every type of artifact to its place (Kudu reference §3.5, §15 item 26)."""

import hashlib
from collections.abc import Callable

import pytest
from conftest import ScmProcess, packed
from hypothesis import given
from hypothesis import strategies as st

from homeport.scm.deployments.onedeploy import Artifact, RefusedArtifact, place_artifact


@pytest.mark.parametrize(
    ("kind", "path", "folder", "file"),
    [
        ("zip", None, "site/wwwroot", None),
        ("ZIP", "sub/dir", "site/wwwroot/sub/dir", None),
        ("zip", "/home/site/tools", "site/tools", None),
        ("zip", r"D:\home\site\tools", "site/tools", None),
        ("zip", "%HOME%/site/tools", "site/tools", None),
        ("zip", "/$home/data/x", "data/x", None),
        ("static", "img/a.png", "site/wwwroot/img", "a.png"),
        ("static", "/a.png", "site/wwwroot", "a.png"),
        ("static", "home/data/a.png", "data", "a.png"),
        ("script", "run.cmd", "site/scripts", "run.cmd"),
        ("script", "/home/site/scripts/x/run.cmd", "site/scripts/x", "run.cmd"),
        ("lib", "driver.jar", "site/libs", "driver.jar"),
        ("startup", "ignored", "site/scripts", "startup.cmd"),
        ("jar", None, "site/wwwroot", "app.jar"),
        ("ear", None, "site/wwwroot", "app.ear"),
        ("war", None, "site/wwwroot", "app.war"),
        ("war", "shop.war", "site/wwwroot", "shop.war"),
        ("war", "/home/site/wwwroot/webapps/shop", "site/wwwroot/webapps/shop", None),
    ],
)
def test_each_type_has_its_place(kind: str, path: str | None, folder: str, file: str | None) -> None:
    placed = place_artifact(kind, path=path, clean=None)

    assert (placed.folder, placed.file) == (folder, file)


def test_only_a_zip_and_an_unpacked_war_clean_by_themselves() -> None:
    assert place_artifact("zip", path=None, clean=None).clean
    assert not place_artifact("zip", path=None, clean=False).clean
    assert place_artifact("war", path="webapps/x", clean=False).clean
    assert not place_artifact("static", path="a", clean=None).clean


@pytest.mark.parametrize(
    ("kind", "path", "clean"),
    [
        ("exe", None, None),
        ("0", None, None),
        ("static", None, None),
        ("static", "folder/", None),
        ("static", "../a", None),
        ("static", "a/../../b", None),
        ("static", "/home/site/a", True),
        ("zip", "a/../b", None),
        ("zip", "/home", True),
        ("zip", "/home/site/", True),
        ("zip", r"D:\home\site", True),
        ("script", "/elsewhere/run.cmd", None),
        ("script", "/home/data/run.cmd", None),
        ("lib", "/home/site/libs/../x.jar", None),
        ("war", "elsewhere/shop", None),
        ("war", "webapps/..", None),
    ],
)
def test_bad_types_and_paths_are_refused(kind: str, path: str | None, clean: bool | None) -> None:
    with pytest.raises(RefusedArtifact):
        place_artifact(kind, path=path, clean=clean)


def test_the_stack_is_checked_where_it_is_known_unless_told_not_to() -> None:
    with pytest.raises(RefusedArtifact, match="PYTHON"):
        place_artifact("jar", path=None, clean=None, stack="PYTHON")
    assert place_artifact("jar", path=None, clean=None, stack="PYTHON", ignore_stack=True)
    assert place_artifact("jar", path=None, clean=None, stack="java")


@given(kind=st.sampled_from(["zip", "static", "lib", "script", "war"]), path=st.text(max_size=30))
def test_no_path_leads_out_of_home(kind: str, path: str) -> None:
    try:
        placed = place_artifact(kind, path=path, clean=None)
    except RefusedArtifact:
        return
    assert isinstance(placed, Artifact)
    assert not placed.folder.startswith("/")
    assert ".." not in f"{placed.folder}/{placed.file}".split("/")


def publish(scm: ScmProcess, content: bytes, **query: str) -> int:
    status = scm.client.post("/api/publish", params=query, content=content).status_code
    if status == 200:
        assert scm.latest()["status"] == 4, scm.log_text(scm.latest()["id"])
    return status


def test_a_zip_replaces_the_content_and_a_static_file_survives_the_next_zipdeploy(scm: ScmProcess) -> None:
    (scm.web_root / "hostingstart.html").write_text("placeholder")
    (scm.web_root / "upload.txt").write_text("mine")

    assert publish(scm, packed({"app.py": "1"}), type="zip") == 200
    assert sorted(path.name for path in scm.web_root.iterdir()) == ["app.py"]
    assert publish(scm, b"png", type="static", path="img/a.png") == 200
    scm.deploy({"other.py": "2"})

    assert (scm.web_root / "img/a.png").read_bytes() == b"png"
    assert (scm.web_root / "other.py").exists()
    record = scm.client.get("/api/deployments").json()[1]
    assert (record["deployer"], record["message"], record["status"]) == ("OneDeploy", "OneDeploy", 4)


def test_clean_of_a_static_file_empties_its_folder_only(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1", "img/old.png": "2", "img/deep/old.png": "3"})

    assert publish(scm, b"new", type="static", path="img/a.png", clean="True") == 200

    assert sorted(str(path.relative_to(scm.web_root)) for path in scm.web_root.rglob("*")) == [
        "app.py",
        "img",
        "img/a.png",
    ]


def test_refusals_are_400_with_a_json_text_and_no_record(scm: ScmProcess) -> None:
    for query in ({}, {"type": "exe"}, {"type": "static"}, {"type": "zip", "path": "/home", "clean": "true"}):
        answer = scm.client.post("/api/publish", params=query, content=b"x" * 100_000)
        assert answer.status_code == 400
        assert isinstance(answer.json(), str)
    answer = scm.client.post("/api/publish?type=zip", json={"packageUri": "relative"})
    assert (answer.status_code, type(answer.json())) == (400, str)
    assert scm.client.get("/api/deployments").json() == []


def test_reset_restores_the_placeholder_page(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})
    (scm.web_root / "upload.txt").write_text("mine")

    assert publish(scm, b"", reset="true") == 200

    assert [path.name for path in scm.web_root.iterdir()] == ["hostingstart.html"]


def test_restart_touches_web_config_unless_declined(scm: ScmProcess) -> None:
    scm.deploy({"web.config": "<configuration/>"})
    before = (scm.web_root / "web.config").stat().st_mtime_ns

    publish(scm, b"1", type="static", path="a", restart="False")
    assert (scm.web_root / "web.config").stat().st_mtime_ns == before
    publish(scm, b"2", type="static", path="a")
    assert (scm.web_root / "web.config").stat().st_mtime_ns > before


def test_asynchronous_ones_are_polled_as_zip_deployments_are(scm: ScmProcess) -> None:
    answer = scm.client.post(
        "/api/publish?type=zip&async=True&trackDeploymentProgress=true", content=packed({})
    )

    assert answer.status_code == 202
    assert "/api/deployments/latest" in answer.headers["location"]
    assert scm.latest()["id"] == answer.headers["scm-deployment-id"]


def test_arm_gives_everything_in_the_body(scm: ScmProcess) -> None:
    body = {
        "properties": {"type": "static", "path": "a.txt", "packageUri": "http://127.0.0.1:9/a?sig=hidden"}
    }

    answer = scm.client.put("/api/publish", json=body, headers={"x-ms-geo-location": "here"})

    assert answer.status_code == 202
    assert scm.latest()["status"] == 3
    told = scm.latest()["status_text"]
    assert "cannot be downloaded from 127.0.0.1: " in told
    assert "is the site itself" in told
    assert "hidden" not in told


def test_a_package_that_is_not_what_was_sent_is_400(scm: ScmProcess) -> None:
    content = packed({"a": "1"})
    right = hashlib.sha256(content).hexdigest()

    for value, status in ((right.upper(), 200), ("0" * 64, 400)):
        answer = scm.client.post(
            "/api/publish?type=zip", content=content, headers={"x-ms-artifact-checksum": value}
        )
        assert answer.status_code == status


def test_run_from_a_remote_package_is_409(start_scm: Callable[..., ScmProcess]) -> None:
    scm = start_scm(WEBSITE_RUN_FROM_PACKAGE="https://example.com/a.zip")

    assert publish(scm, b"x", type="zip") == 409
