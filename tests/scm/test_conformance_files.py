"""Files and commands against the list of Kudu reference §15, items 1 to 16: one test an item."""

from email.utils import parsedate_to_datetime

import pytest
from conftest import ScmProcess

ROOT = "/api/vfs/site/wwwroot"


@pytest.mark.parametrize("path", ["missing", "missing/", "missing/deep/er"])
def test_15_1_missing_paths_are_404_for_get_delete_and_head(shared_scm: ScmProcess, path: str) -> None:
    for verb in ("GET", "DELETE", "HEAD"):
        assert shared_scm.client.request(verb, f"{ROOT}/{path}").status_code == 404
    assert "not found" in shared_scm.client.get(f"{ROOT}/{path}").json()["Message"]


def test_15_2_a_nested_new_file_makes_its_parents_and_is_listed(scm: ScmProcess) -> None:
    put = scm.client.put(f"{ROOT}/a/b/file.txt", content=b"12345")
    (entry,) = scm.client.get(f"{ROOT}/a/b/").json()

    assert (put.status_code, put.content) == (201, b"")
    assert put.headers["etag"]
    assert (entry["name"], entry["size"], entry["mime"]) == ("file.txt", 5, "text/plain")
    assert entry["path"] == "D:\\home\\site\\wwwroot\\a\\b\\file.txt"
    (parent,) = scm.client.get(f"{ROOT}/a/").json()
    assert (parent["mime"], parent["size"]) == ("inode/directory", 0)


def test_15_3_4_get_and_head_give_the_same_with_and_without_body(scm: ScmProcess) -> None:
    content = bytes(range(256))
    put = scm.client.put(f"{ROOT}/file.json", content=content)

    got = scm.client.get(f"{ROOT}/file.json?whatever=1")
    head = scm.client.head(f"{ROOT}/file.json")

    assert got.content == content
    assert got.headers["etag"] == put.headers["etag"]
    assert got.headers["content-type"] == "application/json"
    assert head.content == b""
    for name in ("etag", "last-modified", "content-type", "content-length"):
        assert head.headers[name] == got.headers[name]
    assert parsedate_to_datetime(got.headers["last-modified"]).tzinfo is not None


def test_15_5_if_none_match(scm: ScmProcess) -> None:
    tag = scm.client.put(f"{ROOT}/file.txt", content=b"x").headers["etag"]

    same = scm.client.get(f"{ROOT}/file.txt", headers={"If-None-Match": tag})
    other = scm.client.get(f"{ROOT}/file.txt", headers={"If-None-Match": '"0000"'})

    assert (same.status_code, same.headers["etag"], same.content) == (304, tag, b"")
    assert other.status_code == 200


def test_15_6_ranges(scm: ScmProcess) -> None:
    tag = scm.client.put(f"{ROOT}/file.txt", content=b"0123456789").headers["etag"]
    path = f"{ROOT}/file.txt"

    part = scm.client.get(path, headers={"Range": "bytes=2-4", "If-Range": tag})
    stale = scm.client.get(path, headers={"Range": "bytes=2-4", "If-Range": '"old"'})
    outside = scm.client.get(path, headers={"Range": "bytes=50-"})

    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert (stale.status_code, stale.content) == (200, b"0123456789")
    assert (outside.status_code, outside.headers["content-range"]) == (416, "bytes */10")


def test_15_7_the_slash_is_redirected_to_where_it_belongs(scm: ScmProcess) -> None:
    scm.client.put(f"{ROOT}/folder/file.txt", content=b"x")

    folder = scm.client.get(f"{ROOT}/folder?x=1")
    file = scm.client.get(f"{ROOT}/folder/file.txt/")
    deleted = scm.client.delete(f"{ROOT}/folder/file.txt/", headers={"If-Match": "*"})

    assert (folder.status_code, folder.headers["location"][-len("/folder/?x=1") :]) == (307, "/folder/?x=1")
    assert (file.status_code, file.headers["location"][-len("/file.txt") :]) == (307, "/file.txt")
    assert deleted.status_code == 307
    assert (scm.web_root / "folder/file.txt").exists()


def test_15_8_9_a_file_is_replaced_with_its_tag_alone(scm: ScmProcess) -> None:
    path = f"{ROOT}/file.txt"
    tag = scm.client.put(path, content=b"one").headers["etag"]

    without = scm.client.put(path, content=b"two")
    stale = scm.client.put(path, content=b"two", headers={"If-Match": '"0123456789abcdef"'})
    assert [answer.status_code for answer in (without, stale)] == [412, 412]
    assert [answer.headers["etag"] for answer in (without, stale)] == [tag, tag]
    assert scm.client.get(path).content == b"one"

    right = scm.client.put(path, content=b"two", headers={"If-Match": tag})
    star = scm.client.put(path, content=b"three", headers={"If-Match": "*"})
    assert (right.status_code, star.status_code) == (204, 204)
    assert len({tag, right.headers["etag"], star.headers["etag"]}) == 3


def test_15_10_folders_are_made_once_and_never_written(scm: ScmProcess) -> None:
    assert scm.client.put(f"{ROOT}/newdir/sub/").status_code == 201
    assert scm.client.put(f"{ROOT}/newdir/sub/").status_code == 409
    assert scm.client.put(f"{ROOT}/newdir/sub", content=b"x").status_code == 409


def test_15_11_12_deleting(scm: ScmProcess) -> None:
    scm.client.put(f"{ROOT}/d/file.txt", content=b"x")

    assert scm.client.delete(f"{ROOT}/d/file.txt").status_code == 412
    assert scm.client.delete(f"{ROOT}/d/").status_code == 409
    assert scm.client.delete(f"{ROOT}/d/file.txt", headers={"If-Match": "*"}).status_code == 200
    assert scm.client.delete(f"{ROOT}/d/file.txt", headers={"If-Match": "*"}).status_code == 404
    scm.client.put(f"{ROOT}/d/file.txt", content=b"x")
    assert scm.client.delete(f"{ROOT}/d/?recursive=true").status_code == 200
    assert scm.client.get(f"{ROOT}/d/").status_code == 404


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("with%20space.txt", "with space.txt"),
        ("lit%2520eral", "lit%20eral"),
        ("h%23ash", "h#ash"),
        ("%C3%BCml", "üml"),
    ],
)
def test_15_13_names_survive_a_round_trip(scm: ScmProcess, url: str, name: str) -> None:
    assert scm.client.put(f"{ROOT}/names/{url}", content=b"x").status_code == 201

    (entry,) = scm.client.get(f"{ROOT}/names/").json()
    assert entry["name"] == name
    assert scm.client.get(entry["href"]).content == b"x"


def test_15_14_15_16_commands(scm: ScmProcess) -> None:
    def run(command: str, folder: str | None = None) -> dict[str, object]:
        body = {"command": command} if folder is None else {"command": command, "dir": folder}
        answer = scm.client.post("/api/command", json=body)
        assert answer.status_code == 200
        value: dict[str, object] = answer.json()
        return value

    assert run("echo test") == {"Output": "test\n", "Error": "", "ExitCode": 0}
    assert run("exit 7")["ExitCode"] == 7
    (scm.web_root / "here.txt").write_text("x")
    assert "here.txt" in str(run("dir /b", "site\\wwwroot")["Output"])
    assert str(run("echo %DEPLOYMENT_TARGET%& echo %WEBROOT_PATH%")["Output"]).count("wwwroot") == 2
    assert run("echo abc| findstr b")["Output"] == "abc\n"
    assert run("echo one& echo two")["Output"] == "one\ntwo\n"
