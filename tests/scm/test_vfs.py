"""`/api/vfs` over the real process (Kudu reference §2; conformance list §15 items 1 to 13)."""

import os
import resource
import socket
import threading
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import ScmProcess, wait_for


@pytest.fixture
def box(shared_scm: ScmProcess, request: pytest.FixtureRequest) -> Iterator[tuple[ScmProcess, str, Path]]:
    """A folder of the test's own: process, URL path, path on disk."""
    name = f"box-{abs(hash(request.node.name)):x}"
    folder = shared_scm.home / name
    folder.mkdir()
    return shared_scm, f"/api/vfs/{name}", folder


Box = tuple[ScmProcess, str, Path]


@pytest.mark.parametrize("verb", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_missing_path_is_404_with_its_windows_path(box: Box, verb: str, slash: str) -> None:
    scm, url, folder = box

    answer = scm.client.request(verb, f"{url}/nothing{slash}")

    assert answer.status_code == 404
    if verb != "HEAD":
        assert answer.json() == {"Message": rf"'D:\home\{folder.name}\nothing' not found."}


def test_a_new_nested_file_is_201_with_validators_and_makes_its_folders(box: Box) -> None:
    scm, url, folder = box

    answer = scm.client.put(f"{url}/a/b/c.txt", content=b"text")

    assert answer.status_code == 201
    assert answer.content == b""
    assert (folder / "a/b/c.txt").read_bytes() == b"text"
    assert answer.headers["etag"]
    assert answer.headers["last-modified"]
    assert scm.client.get(f"{url}/a/b/c.txt").headers["etag"] == answer.headers["etag"]


def test_the_etag_is_the_little_endian_tick_count_of_the_last_write(box: Box) -> None:
    scm, url, folder = box
    (folder / "x").write_bytes(b"")
    os.utime(folder / "x", ns=(0, 1_000_000_000))

    answer = scm.client.get(f"{url}/x")

    ticks = 621_355_968_000_000_000 + 10_000_000
    assert answer.headers["etag"] == f'"{ticks.to_bytes(8, "little").hex()}"'


def test_a_listing_has_the_documented_members(box: Box) -> None:
    scm, url, folder = box
    (folder / "sub").mkdir()
    (folder / "a.txt").write_bytes(b"12345")
    os.utime(folder / "a.txt", ns=(0, 1_700_000_000_123_456_700))

    entries = {entry["name"]: entry for entry in scm.client.get(f"{url}/?x=1").json()}

    assert set(entries["a.txt"]) == {"name", "size", "mtime", "crtime", "mime", "href", "path"}
    assert entries["a.txt"]["size"] == 5
    assert entries["a.txt"]["mtime"] == "2023-11-14T22:13:20.1234567+00:00"
    assert entries["a.txt"]["mime"] == "text/plain"
    assert entries["a.txt"]["path"] == rf"D:\home\{folder.name}\a.txt"
    assert entries["a.txt"]["href"] == f"http://hello.scm.localhost{url}/a.txt?x=1"
    assert entries["sub"]["mime"] == "inode/directory"
    assert entries["sub"]["size"] == 0
    assert entries["sub"]["href"] == f"http://hello.scm.localhost{url}/sub/?x=1"


def test_get_gives_the_same_bytes_and_the_media_type_whatever_the_query(box: Box) -> None:
    scm, url, folder = box
    data = os.urandom(700_000)
    (folder / "app.js").write_bytes(data)

    answer = scm.client.get(f"{url}/app.js?any=thing")

    assert answer.content == data
    assert answer.headers["content-type"] == "application/javascript"
    assert answer.headers["content-length"] == "700000"


def test_head_has_the_headers_of_get_and_no_body(box: Box) -> None:
    scm, url, folder = box
    (folder / "a.md").write_bytes(b"12345")

    head, get = scm.client.head(f"{url}/a.md"), scm.client.get(f"{url}/a.md")

    assert head.content == b""
    for name in ("etag", "last-modified", "content-type", "content-length"):
        assert head.headers[name] == get.headers[name]


def test_if_none_match_with_the_current_etag_is_304(box: Box) -> None:
    scm, url, folder = box
    (folder / "a").write_bytes(b"12345")
    tag = scm.client.get(f"{url}/a").headers["etag"]

    same = scm.client.get(f"{url}/a", headers={"If-None-Match": f'"other", {tag}'})
    other = scm.client.get(f"{url}/a", headers={"If-None-Match": '"other"'})

    assert (same.status_code, same.headers["etag"], same.content) == (304, tag, b"")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("asked", "status", "body", "content_range"),
    [
        ("bytes=0-1", 206, b"01", "bytes 0-1/10"),
        ("bytes=8-", 206, b"89", "bytes 8-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"),
        ("bytes=5-100", 206, b"56789", "bytes 5-9/10"),
        ("bytes=3-1", 200, b"0123456789", None),
        ("lines=0-1", 200, b"0123456789", None),
        ("bytes=x", 200, b"0123456789", None),
    ],
)
def test_a_range_is_answered(
    box: Box, asked: str, status: int, body: bytes, content_range: str | None
) -> None:
    scm, url, folder = box
    (folder / "digits").write_bytes(b"0123456789")

    answer = scm.client.get(
        f"{url}/digits", headers={"Range": asked, "If-None-Match": "*"} if status == 206 else {"Range": asked}
    )

    assert answer.status_code == status
    assert answer.content == body
    assert answer.headers.get("content-range") == content_range


def test_several_ranges_come_as_multipart(box: Box) -> None:
    scm, url, folder = box
    (folder / "digits.txt").write_bytes(b"0123456789")

    answer = scm.client.get(f"{url}/digits.txt", headers={"Range": "bytes=0-1,8-"})

    assert answer.status_code == 206
    boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"')
    assert answer.headers["content-type"].startswith("multipart/byteranges")
    parts = answer.content.split(f"--{boundary}".encode())
    assert parts[1] == b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n"
    assert parts[2] == b"\r\nContent-Type: text/plain\r\nContent-Range: bytes 8-9/10\r\n\r\n89\r\n"
    assert parts[3] == b"--\r\n"


def test_an_unsatisfiable_range_is_416_with_the_length(box: Box) -> None:
    scm, url, folder = box
    (folder / "digits").write_bytes(b"0123456789")

    answer = scm.client.get(f"{url}/digits", headers={"Range": "bytes=10-"})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"


def test_if_range_decides_between_the_range_and_the_whole(box: Box) -> None:
    scm, url, folder = box
    (folder / "digits").write_bytes(b"0123456789")
    tag = scm.client.get(f"{url}/digits").headers["etag"]

    current = scm.client.get(f"{url}/digits", headers={"Range": "bytes=0-1", "If-Range": tag})
    stale = scm.client.get(f"{url}/digits", headers={"Range": "bytes=0-1", "If-Range": '"stale"'})
    dated = formatdate((folder / "digits").stat().st_mtime, usegmt=True)
    by_date = scm.client.get(f"{url}/digits", headers={"Range": "bytes=0-1", "If-Range": dated})

    assert [current.status_code, stale.status_code, by_date.status_code] == [206, 200, 206]


def test_a_folder_without_slash_and_a_file_with_one_redirect(box: Box) -> None:
    scm, url, folder = box
    (folder / "file").write_bytes(b"x")

    bare = scm.client.get(f"{url}?q=1")
    slashed = scm.client.get(f"{url}/file/")
    deleted = scm.client.delete(f"{url}/file/")

    assert (bare.status_code, bare.headers["location"]) == (307, f"http://hello.scm.localhost{url}/?q=1")
    for answer in (slashed, deleted):
        assert (answer.status_code, answer.headers["location"]) == (
            307,
            f"http://hello.scm.localhost{url}/file",
        )


def test_the_root_redirects_and_lists_the_special_roots(shared_scm: ScmProcess) -> None:
    assert shared_scm.client.get("/api/vfs").headers["location"] == "http://hello.scm.localhost/api/vfs/"

    entries = {entry["name"]: entry for entry in shared_scm.client.get("/api/vfs/").json()}

    assert entries["site"]["mime"] == "inode/directory"
    assert entries["SystemDrive"]["mime"] == entries["LocalSiteRoot"]["mime"] == "inode/shortcut"
    assert shared_scm.client.get("/api/vfs/systemdrive").status_code == 307
    inside = [entry["name"] for entry in shared_scm.client.get("/api/vfs/LocalSiteRoot/").json()]
    assert inside == ["Temp"]


def test_overwriting_needs_the_current_etag(box: Box) -> None:
    scm, url, folder = box
    tag = scm.client.put(f"{url}/a", content=b"old").headers["etag"]

    missing = scm.client.put(f"{url}/a", content=b"new")
    stale = scm.client.put(f"{url}/a", content=b"new", headers={"If-Match": '"0011"'})

    for answer in (missing, stale):
        assert answer.status_code == 412
        assert answer.headers["etag"] == tag
        assert "Message" in answer.json()
    assert (folder / "a").read_bytes() == b"old"


@pytest.mark.parametrize("condition", ["current", "*", "list"])
def test_overwriting_with_the_right_condition_is_204_and_a_new_etag(box: Box, condition: str) -> None:
    scm, url, folder = box
    tag = scm.client.put(f"{url}/a", content=b"old").headers["etag"]
    os.utime(folder / "a", (1, 1))
    tag = scm.client.get(f"{url}/a").headers["etag"]
    header = {"current": tag, "*": "*", "list": f'"x", {tag}'}[condition]

    answer = scm.client.put(f"{url}/a", content=b"new", headers={"If-Match": header})

    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["etag"] != tag
    assert (folder / "a").read_bytes() == b"new"


def test_if_match_on_a_new_file_is_no_obstacle(box: Box) -> None:
    scm, url, _ = box

    assert scm.client.put(f"{url}/new", content=b"x", headers={"If-Match": "*"}).status_code == 201


def test_overwriting_keeps_the_permissions_of_the_file(box: Box) -> None:
    scm, url, folder = box
    (folder / "run.sh").write_bytes(b"old")
    (folder / "run.sh").chmod(0o750)

    scm.client.put(f"{url}/run.sh", content=b"new", headers={"If-Match": "*"})

    assert (folder / "run.sh").stat().st_mode & 0o777 == 0o750


def test_a_replaced_file_of_equal_size_never_keeps_its_second(box: Box) -> None:
    scm, url, folder = box
    scm.client.put(f"{url}/app.py", content=b"one")
    before = int((folder / "app.py").stat().st_mtime)

    answer = scm.client.put(f"{url}/app.py", content=b"two", headers={"If-Match": "*"})

    assert int((folder / "app.py").stat().st_mtime) > before
    assert answer.headers["etag"] == scm.client.get(f"{url}/app.py").headers["etag"]


def test_putting_folders(box: Box) -> None:
    scm, url, folder = box

    made = scm.client.put(f"{url}/new/sub/")
    again = scm.client.put(f"{url}/new/sub/")
    file_over_folder = scm.client.put(f"{url}/new", content=b"x")
    (folder / "file").write_bytes(b"x")
    folder_over_file = scm.client.put(f"{url}/file/")
    below_file = scm.client.put(f"{url}/file/below/x", content=b"")

    assert made.status_code == 201
    assert [again.status_code, file_over_folder.status_code, folder_over_file.status_code] == [409, 409, 409]
    assert below_file.status_code == 409
    assert (folder / "new/sub").is_dir()


def test_a_name_too_long_is_409_and_leaves_nothing(box: Box) -> None:
    scm, url, folder = box

    answer = scm.client.put(f"{url}/made/{'n' * 300}", content=b"x")

    assert answer.status_code == 409
    assert "File name too long" in answer.json()["Message"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("length", [1_000_000, 5_000_000])
def test_an_upload_that_breaks_off_leaves_the_old_file_and_nothing_else(box: Box, length: int) -> None:
    scm, url, folder = box
    (folder / "a").write_bytes(b"old")
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(scm.folder / "scm.sock"))
    head = f"PUT {url}/a HTTP/1.1\r\nHost: x\r\nIf-Match: *\r\nContent-Length: {length}\r\n\r\n"

    connection.sendall(head.encode() + b"n" * 100_000)
    wait_for(lambda: len(list(folder.iterdir())) == 2)
    connection.close()

    wait_for(lambda: [path.name for path in folder.iterdir()] == ["a"])
    assert (folder / "a").read_bytes() == b"old"


def test_a_large_upload_that_comes_piece_by_piece_is_stored_whole(box: Box) -> None:
    scm, url, folder = box
    content = os.urandom(3_000_000)
    head = f"PUT {url}/a HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(scm.folder / "scm.sock"))
        connection.sendall(head.encode() + content[:10])
        for start, end in ((10, 1_000_000), (1_000_000, 1_000_001), (1_000_001, 3_000_000)):
            connection.sendall(content[start:end])
            wait_for(lambda end=end: [path.stat().st_size for path in folder.iterdir()] == [end])
        answer = connection.recv(65536)
        assert not connection.recv(65536)  # nothing more is read from a connection whose parser was passed by

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert (folder / "a").read_bytes() == content


def test_a_write_that_the_system_refuses_is_409_with_its_words_and_leaves_nothing(
    start_scm: Callable[..., ScmProcess],
) -> None:
    scm = start_scm()
    resource.prlimit(scm.process.pid, resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    answer = scm.client.put("/api/vfs/made/deep/big", content=b"x" * 3_000_000)

    assert answer.status_code == 409
    assert "File too large" in answer.json()["Message"]
    assert not (scm.home / "made").exists()
    assert scm.client.put("/api/vfs/small", content=b"x").status_code == 201


def test_readers_see_the_old_content_until_the_new_one_is_whole(box: Box) -> None:
    scm, url, folder = box
    (folder / "a").write_bytes(b"old")
    halfway, go_on = threading.Event(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b"n" * 2_000_000
        halfway.set()
        assert go_on.wait(20)
        yield b"end"

    sender = threading.Thread(
        target=lambda: scm.client.put(f"{url}/a", content=body(), headers={"If-Match": "*"})
    )
    sender.start()
    assert halfway.wait(20)
    during = scm.client.get(f"{url}/a").content
    go_on.set()
    sender.join(20)

    assert during == b"old"
    assert (folder / "a").stat().st_size == 2_000_003


def test_deleting_a_file_needs_its_etag_and_a_second_time_is_404(box: Box) -> None:
    scm, url, folder = box
    tag = scm.client.put(f"{url}/a", content=b"x").headers["etag"]

    missing = scm.client.delete(f"{url}/a")
    stale = scm.client.delete(f"{url}/a", headers={"If-Match": '"00"'})
    right = scm.client.delete(f"{url}/a", headers={"If-Match": tag})
    again = scm.client.delete(f"{url}/a", headers={"If-Match": tag})

    assert [missing.status_code, stale.status_code, right.status_code, again.status_code] == [
        412,
        412,
        200,
        404,
    ]
    assert missing.headers["etag"] == stale.headers["etag"] == tag
    assert right.content == b""
    assert not (folder / "a").exists()


def test_deleting_folders(box: Box) -> None:
    scm, url, folder = box
    (folder / "empty").mkdir()
    (folder / "full/deep").mkdir(parents=True)
    (folder / "full/deep/x").write_bytes(b"x")

    assert scm.client.delete(f"{url}/empty").status_code == 200
    assert scm.client.delete(f"{url}/full/").status_code == 409
    assert scm.client.delete(f"{url}/full?recursive=yes").status_code == 400
    assert scm.client.delete(f"{url}/full?recursive=true").status_code == 200
    assert list(folder.iterdir()) == []


def test_a_backslash_separates_as_on_windows(box: Box) -> None:
    scm, url, folder = box

    assert scm.client.put(f"{url}/deep%5Cfile.txt", content=b"x").status_code == 201

    assert (folder / "deep/file.txt").read_bytes() == b"x"
    assert scm.client.put("/api/vfs/..%5C..%5Cetc/x", content=b"x").status_code == 403


def test_home_itself_is_not_deleted(shared_scm: ScmProcess) -> None:
    assert shared_scm.client.delete("/api/vfs/?recursive=true").status_code == 409
    assert shared_scm.client.delete("/api/vfs/LocalSiteRoot/?recursive=true").status_code == 409


@pytest.mark.parametrize(
    "name",
    ["with space.txt", "100%20.txt", "a#b", "grün.txt", "日本", "a?b", "semi;colon&amp=1", "+"],
)
def test_special_names_survive_a_round_trip(box: Box, name: str) -> None:
    scm, url, folder = box

    assert scm.client.put(f"{url}/{quote(name)}", content=b"content").status_code == 201
    entry = scm.client.get(f"{url}/").json()[0]

    assert os.listdir(folder) == [name]
    assert entry["name"] == name
    assert scm.client.get(entry["href"]).content == b"content"


def test_a_name_that_is_not_utf8_can_be_listed_and_read(box: Box) -> None:
    scm, url, folder = box
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff\xfe")).write_bytes(b"x")

    entry = scm.client.get(f"{url}/").json()[0]

    assert entry["href"].endswith("/%FF%FE")
    assert scm.client.get(entry["href"]).content == b"x"


def test_doubled_slashes_count_once(box: Box) -> None:
    scm, url, folder = box

    assert scm.client.put(f"{url}//a//b.txt", content=b"x").status_code == 201
    assert (folder / "a/b.txt").exists()
    assert scm.client.get(f"{url}/a//").json()[0]["name"] == "b.txt"
    assert scm.client.get(f"{url}//a//b.txt").content == b"x"


def test_letter_case_is_corrected_where_it_is_clear(box: Box) -> None:
    scm, url, folder = box
    (folder / "Static").mkdir()
    (folder / "Static/App.js").write_bytes(b"x")
    (folder / "two").write_bytes(b"1")
    (folder / "TWO").write_bytes(b"2")

    assert scm.client.get(f"{url}/static/APP.JS").content == b"x"
    assert scm.client.put(f"{url}/static/app.js", content=b"y").status_code == 412
    assert scm.client.get(f"{url}/two").content == b"1"
    assert scm.client.get(f"{url}/Two").status_code == 404


def test_the_route_is_there_without_api_and_in_any_case(box: Box) -> None:
    scm, url, folder = box
    (folder / "a").write_bytes(b"x")

    assert scm.client.get(url.replace("/api", "") + "/a").content == b"x"
    assert scm.client.get(url.replace("/api/vfs", "/API/Vfs") + "/a").content == b"x"


@pytest.mark.parametrize(
    "path",
    [
        "/../etc/passwd",
        "/site/../../etc/passwd",
        "/%2e%2e/etc/passwd",
        "/..%2fetc%2fpasswd",
        "//..//..//etc/passwd",
    ],
)
@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE", "HEAD"])
def test_a_path_that_leaves_home_is_refused(shared_scm: ScmProcess, path: str, verb: str) -> None:
    # The client would tidy the path up, so the request goes out by hand.
    status, _ = raw_request(
        shared_scm, f"{verb} /api/vfs{path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nIf-Match: *\r\n"
    )

    assert status == 403


def test_a_link_that_leads_out_of_home_is_refused(box: Box, tmp_path: Path) -> None:
    scm, url, folder = box
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "file").symlink_to(tmp_path / "secret")
    (folder / "folder").symlink_to(tmp_path)

    assert scm.client.get(f"{url}/file").status_code == 403
    assert scm.client.get(f"{url}/folder/").status_code == 403
    assert scm.client.get(f"{url}/folder/secret").status_code == 403
    assert scm.client.put(f"{url}/file", content=b"x", headers={"If-Match": "*"}).status_code == 403
    assert scm.client.put(f"{url}/folder/new", content=b"x").status_code == 403
    assert scm.client.delete(f"{url}/folder/secret", headers={"If-Match": "*"}).status_code == 403
    assert {entry["name"] for entry in scm.client.get(f"{url}/").json()} == {"file", "folder"}
    assert (tmp_path / "secret").read_bytes() == b"secret"


def test_deleting_a_link_removes_the_link_and_not_its_target(box: Box, tmp_path: Path) -> None:
    scm, url, folder = box
    (tmp_path / "keep").write_bytes(b"x")
    (folder / "outward").symlink_to(tmp_path)
    (folder / "real").mkdir()
    (folder / "real/keep").write_bytes(b"x")
    (folder / "inward").symlink_to(folder / "real")
    (folder / "dangling").symlink_to("nowhere")

    assert scm.client.delete(f"{url}/outward?recursive=true").status_code == 200
    assert scm.client.delete(f"{url}/inward?recursive=true").status_code == 200
    assert scm.client.delete(f"{url}/dangling", headers={"If-Match": "*"}).status_code == 200
    assert (tmp_path / "keep").exists()
    assert os.listdir(folder) == ["real"]
    assert (folder / "real/keep").exists()


def test_a_link_inside_home_is_followed(box: Box) -> None:
    scm, url, folder = box
    (folder / "bin").mkdir()
    (folder / "bin/pip").write_bytes(b"#!")
    (folder / "Scripts").symlink_to("bin")

    assert scm.client.get(f"{url}/Scripts/pip").content == b"#!"
    assert {entry["name"]: entry["mime"] for entry in scm.client.get(f"{url}/").json()}[
        "Scripts"
    ] == "inode/directory"


def test_what_is_no_regular_file_is_404_and_does_not_hold_the_answer(box: Box) -> None:
    scm, url, folder = box
    os.mkfifo(folder / "fifo")

    answer = scm.client.get(f"{url}/fifo")

    assert answer.status_code == 404
    assert answer.json()["ExceptionMessage"]


def test_a_page_of_the_site_cannot_act_as_the_scm_site(box: Box) -> None:
    scm, url, folder = box
    (folder / "evil.html").write_bytes(b"<script>")

    answer = scm.client.get(f"{url}/evil.html")

    assert answer.headers["content-security-policy"] == "sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("cached", [True, False])
def test_a_large_file_comes_whole_from_memory_and_from_the_disk(box: Box, cached: bool) -> None:
    scm, url, folder = box
    content = os.urandom(3_000_001)
    with (folder / "large.bin").open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
        if not cached:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    assert scm.client.get(f"{url}/large.bin").content == content


def test_a_long_upload_does_not_ask_the_kernel_for_memory_again_and_again(box: Box) -> None:
    scm, url, folder = box
    content = bytes(32 * 1024 * 1024)
    scm.client.put(f"{url}/warm.bin", content=content)
    before = minor_faults(scm)

    scm.client.put(f"{url}/large.bin", content=content)

    assert (folder / "large.bin").stat().st_size == len(content)
    assert minor_faults(scm) - before < len(content) // os.sysconf("SC_PAGE_SIZE") / 8


def minor_faults(scm: ScmProcess) -> int:
    """Return how many pages of memory the process has been given."""
    return int(Path(f"/proc/{scm.process.pid}/stat").read_text().rpartition(")")[2].split()[7])


def raw_request(scm: ScmProcess, head: str) -> tuple[int, bytes]:
    """Send a request as written and return its status and everything that came back."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(scm.folder / "scm.sock"))
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    return int(data.split(b" ", 2)[1]), data
