"""A site from creation to deletion, and what its visitors and owner see on the way."""

import concurrent.futures
import time
from collections.abc import Callable

import pytest

from acceptance.running import Platform, eventually
from acceptance.sites import HELLO, SAMPLE_WEB_CONFIG, application, fast_cgi, web_config

Make = Callable[..., str]


def test_a_new_site_says_that_it_is_up(platform: Platform, make_site: Make) -> None:
    make_site("fresh", runtime="")

    answer = platform.get("fresh")

    assert answer.status_code == 200
    assert "fresh is up and running" in answer.text


def test_the_documented_web_config_runs_byte_for_byte(platform: Platform, make_site: Make) -> None:
    make_site("bytewise", {"web.config": SAMPLE_WEB_CONFIG, "app.py": HELLO}, runtime="python361x64")

    eventually(lambda: platform.get("bytewise").text == "hello")


def test_an_unknown_host_is_nobodys_site(platform: Platform) -> None:
    assert platform.get("nobody-here").status_code == 404


def test_a_stopped_site_answers_403_and_has_no_process(platform: Platform, make_site: Make) -> None:
    make_site("halted", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("halted").text == "hello")

    platform.homeport("site", "stop", "halted")

    assert platform.get("halted").status_code == 403
    eventually(
        lambda: not [p for p in platform.json("site", "show", "halted")["processes"] if p["kind"] == "worker"]
    )
    platform.homeport("site", "start", "halted")
    assert platform.get("halted").text == "hello"


def test_a_deleted_site_is_gone_with_its_files(platform: Platform, make_site: Make) -> None:
    make_site("doomed", {"web.config": web_config(), "app.py": HELLO})

    platform.homeport("site", "delete", "doomed", "--yes")

    assert platform.get("doomed").status_code == 404
    assert not (platform.data / "sites/doomed").exists()
    assert platform.homeport("site", "show", "doomed", check=False).returncode == 1


def test_app_settings_reach_the_application_under_both_names(platform: Platform, make_site: Make) -> None:
    body = (
        "return os.environ['GREETING'] + os.environ['APPSETTING_GREETING'] + os.environ['WEBSITE_SITE_NAME']"
    )
    make_site("settled", {"web.config": web_config(), "app.py": application(body)})

    platform.homeport("settings", "set", "settled", "GREETING=hi")

    eventually(lambda: platform.get("settled").text == "hihisettled")


def test_a_changed_file_is_live_without_a_failed_request(platform: Platform, make_site: Make) -> None:
    make_site("changing", {"web.config": web_config(), "app.py": application("return 'one'")})
    eventually(lambda: platform.get("changing").text == "one")
    seen: list[tuple[int, str]] = []

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        done = False

        def visit() -> None:
            with platform.client("changing.localhost") as client:
                while not done:
                    answer = client.get("/")
                    seen.append((answer.status_code, answer.text))

        visitors = [pool.submit(visit) for _ in range(4)]
        platform.write("changing", {"app.py": application("return 'two'")})
        eventually(lambda: seen and seen[-1][1] == "two")
        done = True
        for visitor in visitors:
            visitor.result()

    assert {status for status, _ in seen} == {200}


def test_a_changed_web_config_is_live_without_a_failed_request(platform: Platform, make_site: Make) -> None:
    body = "return os.environ.get('COLOUR', 'none')"
    make_site("colours", {"web.config": web_config(), "app.py": application(body)})
    eventually(lambda: platform.get("colours").text == "none")
    statuses = set()
    setting = '<add key="COLOUR" value="green"/>'

    platform.write("colours", {"web.config": web_config(settings=setting)})
    while True:
        answer = platform.get("colours")
        statuses.add(answer.status_code)
        if answer.text == "green":
            break

    assert statuses == {200}


def test_a_version_that_does_not_start_leaves_the_old_one_serving(
    platform: Platform, make_site: Make
) -> None:
    make_site("careful", {"web.config": web_config(), "app.py": application("return 'good'")})
    eventually(lambda: platform.get("careful").text == "good")

    platform.write("careful", {"app.py": "raise RuntimeError('broken version')"})
    eventually(lambda: "did not start" in _log(platform, "careful"))

    assert platform.get("careful").text == "good"
    platform.write("careful", {"app.py": application("return 'better'")})
    eventually(lambda: platform.get("careful").text == "better")


def test_slow_requests_do_not_hold_quick_ones(platform: Platform, make_site: Make) -> None:
    body = "if environ['PATH_INFO'] == '/slow': time.sleep(2)\nreturn os.getpid()"
    config = web_config(more=fast_cgi(maxInstances=2))
    make_site("patient", {"web.config": config, "app.py": application(body)})
    eventually(lambda: platform.get("patient").text.isdigit())
    with concurrent.futures.ThreadPoolExecutor(
        2
    ) as pool:  # two at once make the pool start its second worker
        list(pool.map(lambda _: platform.get("patient", "/slow"), range(2)))

    with concurrent.futures.ThreadPoolExecutor(1) as pool, platform.client("patient.localhost") as client:
        slow = pool.submit(platform.get, "patient", "/slow")
        longest = 0.0
        answered = 0
        while not slow.done() and answered < 200:
            before = time.monotonic()
            assert client.get("/").status_code == 200
            longest = max(longest, time.monotonic() - before)
            answered += 1
        still_slow = not slow.done()
        assert slow.result().status_code == 200

    assert still_slow
    assert longest < 1.0  # a quick request behind the slow one would have taken two seconds


def test_more_workers_come_with_more_slow_requests(platform: Platform, make_site: Make) -> None:
    make_site(
        "crowded", {"web.config": web_config(), "app.py": application("time.sleep(0.5)\nreturn os.getpid()")}
    )

    eventually(lambda: platform.get("crowded").text.isdigit())

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: platform.get("crowded"), range(36)))

    assert {answer.status_code for answer in answers} == {200}
    workers = [p for p in platform.json("site", "show", "crowded")["processes"] if p["kind"] == "worker"]
    assert 3 <= len(workers) <= 16


def test_an_upload_and_a_download_arrive_whole(platform: Platform, make_site: Make) -> None:
    body = "import hashlib\nreturn hashlib.sha256(environ['wsgi.input'].read()).hexdigest()"
    make_site("bulky", {"web.config": web_config(), "app.py": application(body)})
    eventually(lambda: len(platform.get("bulky").text) == 64)
    import hashlib

    data = bytes(range(256)) * 40_000
    with platform.client("bulky.localhost") as client:
        known = client.post("/", content=data)
        chunked = client.post("/", content=iter([data[:1000], data[1000:]]))

    assert known.text == chunked.text == hashlib.sha256(data).hexdigest()


def test_streamed_output_arrives_piece_by_piece(platform: Platform, make_site: Make) -> None:
    app = """
import time
def wsgi_app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/event-stream")])
    yield b"data: one\\n\\n"
    time.sleep(3)
    yield b"data: two\\n\\n"
"""
    make_site("streaming", {"web.config": web_config(), "app.py": app})
    eventually(lambda: platform.get("streaming").text.startswith("data:"))

    with platform.client("streaming.localhost") as client, client.stream("GET", "/") as answer:
        pieces = answer.iter_bytes()
        begun = time.monotonic()
        first = next(pieces)
        second = b"".join(pieces)
        waited = time.monotonic() - begun

    assert first == b"data: one\n\n"
    assert second == b"data: two\n\n"
    assert waited > 2  # the first piece did not wait for the second


def test_what_a_visitor_claims_about_itself_is_not_believed(platform: Platform, make_site: Make) -> None:
    body = "return [environ.get(n) for n in ('HTTP_X_ORIGINAL_URL', 'HTTP_PROXY', 'HTTP_X_FORWARDED_PROTO')]"
    make_site("sceptic", {"web.config": web_config(), "app.py": application(body)})
    lies = {"X-Original-URL": "/admin", "Proxy": "http://evil", "X-Forwarded-Proto": "https"}

    eventually(lambda: platform.get("sceptic").text.startswith("["))
    text = platform.get("sceptic", "/real", headers={**lies}).text

    assert text == str(["/real", None, "http"])


@pytest.mark.parametrize("path", ["/web.config", "/Web.Config", "/App_Data/x.txt", "/bin/x", "/x.config"])
def test_what_iis_hides_is_hidden(platform: Platform, make_site: Make, path: str) -> None:
    make_site("hiding", {"web.config": web_config(), "app.py": HELLO})
    eventually(lambda: platform.get("hiding").text == "hello")

    assert platform.get("hiding", path).status_code == 404


def test_static_files_in_a_folder_of_their_own_are_served_without_python(
    platform: Platform, make_site: Make
) -> None:
    static = '<configuration><system.webServer><handlers><remove name="PythonHandler"/></handlers></system.webServer></configuration>'
    files = {
        "web.config": web_config(),
        "app.py": HELLO,
        "static/web.config": static,
        "static/site.css": "body{}",
    }
    make_site("styled", dict(files))

    eventually(lambda: platform.get("styled", "/page").text == "hello")
    eventually(lambda: platform.get("styled", "/static/site.css").text == "body{}")
    assert platform.get("styled", "/static/site.css").headers["content-type"].startswith("text/css")
    assert platform.get("styled", "/static/none.css").status_code == 404
    assert platform.get("styled", "/page").text == "hello"


def _log(platform: Platform, site: str) -> str:
    folder = platform.data / f"sites/{site}/home/LogFiles/Application"
    return "".join(path.read_text(errors="replace") for path in folder.glob("*.log"))
