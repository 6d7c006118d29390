"""`/api/scmvfs`: the repository over HTTP, with real git (Kudu reference §2.6), and `/api/scm/clean` (§5.4)."""

import subprocess

import pytest
from conftest import ScmProcess

PATH = "/api/scmvfs/app/main.py"


def git(scm: ScmProcess, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=scm.home / "site/repository", capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def committed(scm: ScmProcess) -> tuple[ScmProcess, str]:
    """A repository with one file, and its ETag."""
    answer = scm.client.put(PATH, content="one\ntwo\nthree\nfour\nfive\n")
    assert answer.status_code == 201, answer.text
    return scm, answer.headers["etag"]


def test_a_new_file_is_a_commit_that_is_deployed(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed
    commit = tag.strip('"')

    assert git(scm, "rev-parse", "master") == commit
    assert (scm.web_root / "app/main.py").read_text().startswith("one")
    assert (scm.home / "site/repository/app/main.py").exists()
    assert git(scm, "status", "--porcelain") == ""
    record = scm.client.get(f"/api/deployments/{commit}").json()
    assert (record["status"], record["id"]) == (4, commit)


def test_files_and_folders_are_read_from_the_commit(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed

    file = scm.client.get(PATH)
    assert (file.status_code, file.headers["etag"], file.text[:3]) == (200, tag, "one")
    assert scm.client.head(PATH).headers["content-length"] == str(len(file.content))
    assert scm.client.get(PATH, headers={"If-None-Match": tag}).status_code == 304
    (entry,) = scm.client.get("/scmvfs/").json()
    assert (entry["name"], entry["mime"], entry["href"]) == (
        "app",
        "inode/directory",
        "http://hello.scm.localhost/scmvfs/app/",
    )
    assert scm.client.get("/api/scmvfs/app").status_code == 307
    assert scm.client.get(PATH + "/").status_code == 307
    assert scm.client.get("/api/scmvfs/none").status_code == 404


def test_a_change_needs_exactly_the_tag_that_was_read(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed

    for condition in ({}, {"If-Match": "*"}, {"If-Match": f'{tag}, "x"'}, {"If-Match": '"' + "0" * 40 + '"'}):
        refused = scm.client.put(PATH, content="x", headers=condition)
        assert (refused.status_code, refused.headers["etag"]) == (412, tag)
    changed = scm.client.put(PATH + "?message=why+not", content="new\n", headers={"If-Match": tag})

    assert changed.status_code == 204
    assert changed.headers["etag"] != tag
    assert git(scm, "log", "-1", "--format=%s") == "why not"
    assert (scm.web_root / "app/main.py").read_text() == "new\n"


def test_without_deployment_the_content_stays_as_it_was(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed

    assert scm.client.put(PATH + "?nodeploy", content="later\n", headers={"If-Match": tag}).status_code == 204

    assert (scm.web_root / "app/main.py").read_text().startswith("one")
    assert scm.client.get(PATH).text == "later\n"


def test_changes_of_two_people_are_merged_or_shown_as_a_conflict(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed
    first = "ONE\ntwo\nthree\nfour\nfive\n"
    scm.client.put(PATH, content=first, headers={"If-Match": tag}).raise_for_status()

    merged = scm.client.put(PATH, content="one\ntwo\nthree\nfour\nFIVE\n", headers={"If-Match": tag})
    conflict = scm.client.put(PATH, content="1\ntwo\nthree\nfour\nfive\n", headers={"If-Match": tag})

    assert (merged.status_code, merged.text) == (200, "ONE\ntwo\nthree\nfour\nFIVE\n")
    assert conflict.status_code == 409
    assert conflict.headers["content-type"] == "text/plain"
    assert "<<<<<<<" in conflict.text
    assert scm.client.get(PATH).text == merged.text


def test_a_file_is_deleted_with_its_tag_and_a_folder_never(committed: tuple[ScmProcess, str]) -> None:
    scm, tag = committed

    assert scm.client.delete(PATH).status_code == 412
    assert scm.client.delete("/api/scmvfs/app?recursive=true").status_code == 400
    assert scm.client.delete("/api/scmvfs/app").status_code == 409
    assert scm.client.delete(PATH, headers={"If-Match": tag}).status_code == 200

    assert scm.client.get(PATH).status_code == 404
    assert not (scm.web_root / "app/main.py").exists()


@pytest.mark.parametrize(
    "path", [".git/config", ".GIT/hooks/x", "a/.git/x", "git~1/config", ".g\u200cit/config"]
)
def test_git_itself_refuses_what_would_be_its_own_folder(
    committed: tuple[ScmProcess, str], path: str
) -> None:
    scm, tag = committed

    assert scm.client.put(f"/api/scmvfs/{path}", content="x").status_code == 400
    assert scm.client.get("/api/scmvfs/").headers["etag"] == tag


def test_a_path_that_leaves_the_repository_is_refused(scm: ScmProcess) -> None:
    assert scm.client.put("/api/scmvfs/..%2f..%2fx", content="x").status_code == 403
    assert scm.client.get("/api/scmvfs/..%2fx").status_code == 403
    assert scm.client.get("/api/scmvfs/").status_code == 404


def test_5_4_clean_removes_what_git_does_not_know(committed: tuple[ScmProcess, str]) -> None:
    scm, _ = committed
    (scm.home / "site/repository/stray.txt").write_text("x")

    assert scm.client.post("/api/scm/clean").status_code == 204

    assert not (scm.home / "site/repository/stray.txt").exists()
    assert (scm.home / "site/repository/app/main.py").exists()
