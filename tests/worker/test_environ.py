"""The environ that applications see (IIS reference §2.4, §2.5, §3.6)."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from . import fcgi
from .fcgi import ask, nginx_params
from .workers import SITE, Worker

Start = Callable[..., Worker]


def seen(running: Worker, uri: str = "/environ", **params: str) -> dict[str, Any]:
    answer = ask(running.path, uri, **params)
    return dict(json.loads(answer.body))


def test_what_nginx_does_not_send_is_derived(plain: Worker) -> None:
    environ = seen(plain, "/environ?a=b")

    assert {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/environ",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "a=b",
        "URL": "/environ",
        "UNENCODED_URL": "/environ?a=b",
        "HTTP_X_ORIGINAL_URL": "/environ?a=b",
        "REQUEST_URI": "/environ?a=b",
        "PATH_TRANSLATED": f"{SITE}/environ",
        "SCRIPT_FILENAME": f"{SITE}/environ",
        "REMOTE_ADDR": "192.0.2.7",
        "REMOTE_HOST": "192.0.2.7",
        "HTTP_X_FORWARDED_FOR": "192.0.2.7:4711",
        "HTTP_X_FORWARDED_PROTO": "http",
        "SERVER_PORT_SECURE": "0",
        "HTTPS": "off",
        "CONTENT_LENGTH": "0",
        "CONTENT_TYPE": "",
        "SERVER_SOFTWARE": "Homeport/0.1",
        "GATEWAY_INTERFACE": "CGI/1.1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "shop.example",
        "wsgi.version": [1, 0],
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }.items() <= environ.items()


def test_behind_rewrite_rules_the_path_stays_the_clients_and_the_file_is_the_rewritten(plain: Worker) -> None:
    environ = seen(plain, "/environ?a=b", URL="/pages/new", QUERY_STRING="c=d")

    assert {
        "PATH_INFO": "/environ",
        "REQUEST_URI": "/environ?a=b",
        "UNENCODED_URL": "/environ?a=b",
        "HTTP_X_ORIGINAL_URL": "/environ?a=b",
        "QUERY_STRING": "c=d",
        "URL": "/pages/new",
        "PATH_TRANSLATED": f"{SITE}/pages/new",
        "SCRIPT_FILENAME": f"{SITE}/pages/new",
    }.items() <= environ.items()
    assert seen(plain)["URL"] == "/environ"


@pytest.mark.parametrize("value", ["on", "ON", "On"])
def test_https_shows_everywhere(plain: Worker, value: str) -> None:
    environ = seen(plain, HTTPS=value)

    assert (environ["HTTPS"], environ["SERVER_PORT_SECURE"]) == ("on", "1")
    assert (environ["wsgi.url_scheme"], environ["HTTP_X_FORWARDED_PROTO"]) == ("https", "https")


@pytest.mark.parametrize("value", ["off", "", "1"])
def test_anything_else_is_http(plain: Worker, value: str) -> None:
    environ = seen(plain, HTTPS=value)

    assert (environ["HTTPS"], environ["wsgi.url_scheme"]) == ("off", "http")


def test_the_forwarding_header_grows(plain: Worker) -> None:
    assert (
        seen(plain, HTTP_X_FORWARDED_FOR="198.51.100.1")["HTTP_X_FORWARDED_FOR"]
        == "198.51.100.1, 192.0.2.7:4711"
    )
    assert seen(plain, REMOTE_ADDR="2001:db8::1")["HTTP_X_FORWARDED_FOR"] == "[2001:db8::1]:4711"
    assert "HTTP_X_FORWARDED_FOR" not in seen(plain, REMOTE_ADDR="")


def test_a_client_cannot_forge_the_original_address(plain: Worker) -> None:
    assert seen(plain, HTTP_X_ORIGINAL_URL="/admin")["HTTP_X_ORIGINAL_URL"] == "/environ"
    assert seen(plain, HTTP_X_FORWARDED_PROTO="https")["HTTP_X_FORWARDED_PROTO"] == "http"


def test_one_request_leaves_nothing_for_the_next(plain: Worker) -> None:
    seen(plain, HTTP_X_ONCE="1", HTTPS="on", CONTENT_TYPE="a/b", REMOTE_USER="someone")
    environ = seen(plain)

    assert "HTTP_X_ONCE" not in environ
    assert (environ["HTTPS"], environ["CONTENT_TYPE"], environ["wsgi.url_scheme"]) == ("off", "", "http")


def test_paths_are_utf_8_bytes_as_latin_1_text(plain: Worker) -> None:
    environ = seen(plain, PATH_INFO="/environ/", REQUEST_URI="/environ/?\xc3\xa9")

    assert environ["UNENCODED_URL"] == "/environ/?\xc3\xa9"


def test_content_headers_appear_once(plain: Worker) -> None:
    environ = seen(
        plain, CONTENT_TYPE="a/b", HTTP_CONTENT_TYPE="a/b", CONTENT_LENGTH="0", HTTP_CONTENT_LENGTH="0"
    )

    assert environ["CONTENT_TYPE"] == "a/b"
    assert not {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"} & set(environ)


def test_other_servers_may_send_less(plain: Worker) -> None:
    answer = fcgi.exchange(plain.path, fcgi.request_bytes({"REQUEST_URI": "/enviro%6e?x"}))
    environ = json.loads(answer.body)

    assert (environ["PATH_INFO"], environ["REQUEST_METHOD"], environ["SERVER_NAME"]) == (
        "/environ",
        "GET",
        "localhost",
    )
    answer = fcgi.exchange(plain.path, fcgi.request_bytes({"PATH_INFO": "/environ", "QUERY_STRING": "x=1"}))
    assert json.loads(answer.body)["REQUEST_URI"] == "/environ?x=1"


def test_other_servers_may_send_more(plain: Worker) -> None:
    environ = seen(
        plain,
        REMOTE_USER="someone",
        SCRIPT_NAME="/ignored",
        SERVER_SOFTWARE="other/1",
        OWN="x" * 127,
        OWN2="y" * 128,
    )

    assert (environ["REMOTE_USER"], environ["SCRIPT_NAME"], environ["SERVER_SOFTWARE"]) == (
        "someone",
        "",
        "other/1",
    )
    assert (environ["OWN"], environ["OWN2"]) == ("x" * 127, "y" * 128)


def test_the_last_of_equal_parameters_wins(plain: Worker) -> None:
    doubled = fcgi.pairs({"HTTP_X": "first"}) + fcgi.pairs(nginx_params(uri="/environ", HTTP_X="last"))
    answer = fcgi.exchange(
        plain.path, fcgi.begin() + fcgi.stream(fcgi.PARAMS, doubled) + fcgi.record(fcgi.STDIN)
    )

    assert json.loads(answer.body)["HTTP_X"] == "last"


@pytest.mark.parametrize(
    ("mount", "path", "script_name", "path_info"),
    [
        ("/sub", "/sub/environ", "/sub", "/environ"),
        ("/sub/", "/SUB/environ", "/sub", "/environ"),
        ("/Sub", "/sub", "/Sub", ""),
        ("/sub", "/subway/environ", "", "/subway/environ"),
        ("/sub", "/environ", "", "/environ"),
        ("", "/environ", "", "/environ"),
    ],
)
def test_script_name_parts_whole_segments(
    start: Start, mount: str, path: str, script_name: str, path_info: str
) -> None:
    running = start("anywhere.app", settings=[("SCRIPT_NAME", mount)])
    environ = seen(running, path)

    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path_info)


def test_script_name_of_the_server_is_kept_when_asked(start: Start) -> None:
    running = start("anywhere.app", settings=[("AllowPathInfoForScriptMappings", "true")])

    assert seen(running, SCRIPT_NAME="/kept")["SCRIPT_NAME"] == "/kept"
