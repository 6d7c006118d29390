"""Bad input: a clear message at the right place, neighbours undisturbed, nothing left behind."""

import io
import stat
import subprocess
import zipfile
from collections.abc import Callable, Iterator

import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import HELLO, application, fast_cgi, web_config

Make = Callable[..., str]


@pytest.fixture(autouse=True)
def neighbour(platform: Platform) -> Iterator[None]:
    """A good site beside the bad one: it must serve before, and after."""
    if platform.homeport("site", "show", "neighbour", check=False).returncode:
        platform.homeport("site", "create", "neighbour")
        platform.homeport("extension", "add", "neighbour", "python3117x64")
        platform.write("neighbour", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("neighbour").text == "hello")
    yield
    assert platform.get("neighbour").text == "hello"


def findings(platform: Platform, site: str) -> str:
    return "\n".join(
        f"{finding['file']}:{finding['line']}:{finding['column']} {finding['message']} {finding['remedy']}"
        for finding in platform.json("site", "show", site)["findings"]
    )


def log(platform: Platform, site: str) -> str:
    folder = platform.data / f"sites/{site}/home/LogFiles/Application"
    return "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))


def test_malformed_xml_is_named_by_line_and_column(platform: Platform, make_site: Make) -> None:
    make_site("malformed", {"web.config": "<configuration>\n  <system.webServer>\n</configuration>"})

    eventually(lambda: "web.config:3:" in findings(platform, "malformed"))
    eventually(lambda: platform.get("malformed").status_code == 500)


def test_a_mistake_in_web_config_leaves_the_site_for_its_repair(platform: Platform, make_site: Make) -> None:
    make_site("mistaken", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("mistaken").text == "hello")
    platform.write("mistaken", {"web.config": "<configuration"})
    eventually(lambda: "web.config:1" in findings(platform, "mistaken"))

    platform.write("mistaken", {"web.config": web_config()})

    eventually(lambda: platform.get("mistaken").text == "hello")


def test_an_unknown_element_is_named_with_its_line(platform: Platform, make_site: Make) -> None:
    config = web_config(more='<wonderful enabled="true"/>')
    make_site("unknown", {"web.config": config, "app.py": HELLO})

    line = config.splitlines().index('    <wonderful enabled="true"/>') + 1
    eventually(lambda: f"web.config:{line}" in findings(platform, "unknown"))
    assert "wonderful" in findings(platform, "unknown")
    assert platform.get("unknown").text == "hello"


def test_an_unknown_handler_says_so(platform: Platform, make_site: Make) -> None:
    config = web_config().replace("FastCgiModule", "WonderModule")
    make_site("handlers", {"web.config": config, "app.py": HELLO})

    eventually(lambda: "WonderModule" in findings(platform, "handlers"))
    eventually(lambda: platform.get("handlers").status_code == 500)


def test_a_missing_python_says_which_to_add_and_how(platform: Platform, make_site: Make) -> None:
    make_site("pythonless", {"web.config": web_config(folder="Python361x64"), "app.py": HELLO}, runtime="")

    eventually(lambda: "homeport extension add pythonless python361x64" in findings(platform, "pythonless"))
    eventually(lambda: platform.get("pythonless").status_code == 500)


def test_an_import_error_is_shown_to_the_owner_and_not_to_visitors(
    platform: Platform, make_site: Make
) -> None:
    make_site("importer", {"web.config": web_config(), "app.py": "import no_such_module_anywhere\n"})

    eventually(lambda: platform.get("importer").status_code == 500)
    answer = platform.get("importer")

    assert "no_such_module_anywhere" not in answer.text
    assert "Traceback" not in answer.text
    with platform.scm("importer") as scm:
        newest = scm.get("/api/homeport/failures").json()[0]
        page = scm.get(f"/failures/{newest['id']}")
    assert newest["id"] in answer.text
    assert "no_such_module_anywhere" in page.text
    assert "no_such_module_anywhere" in log(platform, "importer")


def test_an_application_that_dies_at_once_is_not_started_for_ever(
    platform: Platform, make_site: Make
) -> None:
    make_site("mortal", {"web.config": web_config(), "app.py": "import os\nos._exit(7)\n"})

    eventually(lambda: platform.get("mortal").status_code in (500, 503))
    eventually(lambda: "exit code 7" in log(platform, "mortal"))
    eventually(lambda: "not started again" in log(platform, "mortal"))
    assert platform.get("mortal").status_code == 503
    platform.write("mortal", {"app.py": HELLO})
    eventually(lambda: platform.get("mortal").text == "hello")


def test_an_application_that_hangs_at_import_is_killed_and_its_stacks_kept(
    platform: Platform, make_site: Make
) -> None:
    config = web_config(more=fast_cgi(requestTimeout=10))
    make_site("hanging", {"web.config": config, "app.py": "import time\ntime.sleep(1000)\n"})

    eventually(lambda: platform.get("hanging").status_code in (500, 503))
    eventually(lambda: "not ready 10 s" in log(platform, "hanging"))
    assert "app.py" in log(platform, "hanging")


def test_a_request_over_its_time_is_ended_and_its_stacks_kept(platform: Platform, make_site: Make) -> None:
    body = "if environ['PATH_INFO'] == '/hang': time.sleep(1000)\nreturn 'ok'"
    config = web_config(more=fast_cgi(requestTimeout=10, activityTimeout=10))
    make_site("overtime", {"web.config": config, "app.py": application(body)})
    eventually(lambda: platform.get("overtime").text == "ok")

    assert platform.get("overtime", "/hang").status_code == 500
    eventually(lambda: "GET /hang" in log(platform, "overtime"))
    assert "in answer" in log(platform, "overtime")
    assert platform.get("overtime").text == "ok"


def test_an_application_that_crashes_in_a_request_costs_that_request_only(
    platform: Platform, make_site: Make
) -> None:
    body = "if environ['PATH_INFO'] == '/crash': os.kill(os.getpid(), 11)\nreturn 'ok'"
    make_site("crashing", {"web.config": web_config(), "app.py": application(body)})
    eventually(lambda: platform.get("crashing").text == "ok")

    assert platform.get("crashing", "/crash").status_code == 500
    eventually(lambda: platform.get("crashing").text == "ok")


def test_a_flood_of_output_is_bounded(platform: Platform, make_site: Make) -> None:
    body = "line = 'x' * 999\nfor _ in range(100_000): print(line)\nreturn 'flooded'"
    make_site("flooding", {"web.config": web_config(), "app.py": application(body)})

    eventually(lambda: platform.get("flooding").text == "flooded")
    eventually(lambda: platform.get("flooding", "/again").text == "flooded")

    folder = platform.data / "sites/flooding/home/LogFiles/Application"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 40_000_000
    assert "dropped" in log(platform, "flooding")


def test_garbage_on_standard_output_is_no_answer(platform: Platform, make_site: Make) -> None:
    body = "os.write(1, b'\\x00\\xff\\x01garbage'); sys.stdout.write('more'); return 'clean'"
    make_site("garbage", {"web.config": web_config(), "app.py": application(body)})

    eventually(lambda: platform.get("garbage").text == "clean")


@pytest.mark.parametrize(
    "headers",
    [
        '[("X-Bad", "a\\r\\nSet-Cookie: evil=1")]',
        '[("Bad Name", "x")]',
        '[("Connection", "close")]',
        '"no list"',
    ],
)
def test_bad_headers_of_an_application_are_a_500_with_a_reason(
    platform: Platform, make_site: Make, headers: str
) -> None:
    app = f"def wsgi_app(environ, start_response):\n    start_response('200 OK', {headers})\n    return [b'x']\n"
    make_site("headers", {"web.config": web_config(), "app.py": app})

    eventually(lambda: platform.get("headers").status_code == 500)
    answer = platform.get("headers")

    assert "set-cookie" not in answer.headers
    with platform.scm("headers") as scm:
        assert scm.get("/api/homeport/failures").json()[0]["kind"] == "request"


def zipped(name: str, *, mode: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("fine.txt", "fine")
        entry = zipfile.ZipInfo(name)
        entry.external_attr = mode << 16
        archive.writestr(entry, "/etc/passwd")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("../evil.txt", 0),
        ("/evil.txt", 0),
        ("a/../../evil.txt", 0),
        ("C:\\evil.txt", 0),
        ("..\\evil.txt", 0),
        ("link", stat.S_IFLNK | 0o777),
        ("device", stat.S_IFCHR | 0o666),
        ("fifo", stat.S_IFIFO | 0o666),
    ],
)
def test_a_hostile_zip_is_refused_whole(platform: Platform, make_site: Make, name: str, mode: int) -> None:
    make_site("zipped", runtime="")
    with platform.scm("zipped") as scm:
        answer = scm.post("/api/zipdeploy", content=zipped(name, mode=mode))

        assert answer.status_code == 400
        assert name.split("\\")[-1].split("/")[-1] in answer.text
        assert scm.get("/api/vfs/site/wwwroot/fine.txt").status_code == 404
    assert not list((platform.data / "sites/zipped").rglob("evil*"))


@pytest.mark.parametrize("path", ["..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..%5c..%5cetc/passwd"])
def test_a_file_path_that_leaves_home_is_refused(platform: Platform, make_site: Make, path: str) -> None:
    make_site("paths", runtime="")
    with platform.scm("paths") as scm:
        assert scm.get(f"/api/vfs/{path}").status_code in (400, 403, 404)
        assert scm.put(f"/api/vfs/{path}x", content=b"x").status_code in (400, 403, 404, 409)


def test_wrong_credentials_are_refused_with_a_challenge(platform: Platform, make_site: Make) -> None:
    make_site("locked", runtime="")
    with platform.client("locked.scm.localhost") as client:
        for auth in (None, ("$locked", "wrong"), ("$neighbour", "wrong")):
            answer = client.get("/api/vfs/", auth=auth)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"].startswith("Basic")


def test_one_sites_credentials_do_not_open_another(platform: Platform, make_site: Make) -> None:
    make_site("other", runtime="")
    publishing = platform.json("site", "show", "neighbour")["publishing"]
    with platform.client("other.scm.localhost", auth=(publishing["user"], publishing["password"])) as client:
        assert client.get("/api/vfs/").status_code == 401


def test_a_full_disk_is_said_and_nothing_is_left_of_the_upload(platform: Platform, make_site: Make) -> None:
    make_site("full", runtime="")
    content = platform.data / "sites/full/home/site/wwwroot"
    uid = platform.json("site", "show", "full")["uid"]
    with platform.scm("full") as scm:
        scm.get("/api/environment").raise_for_status()
    mounted = platform.data / "sites/full/home/data"
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size=1m,uid={uid},gid={uid}", "none", str(mounted)], check=True
    )
    try:
        platform.homeport("site", "restart", "full")
        with platform.scm("full") as scm:
            eventually(
                lambda: scm.put("/api/vfs/data/probe", content=b"x", headers={"If-Match": "*"}).is_success
            )
            answer = scm.put("/api/vfs/data/big", content=b"x" * 3_000_000)
            names = [entry["name"] for entry in scm.get("/api/vfs/data/").json()]
    finally:
        subprocess.run(["umount", "--lazy", str(mounted)], check=True)

    assert answer.status_code == 409
    assert "space" in answer.text
    assert "big" not in names
    assert content.is_dir()
