"""What a browser gets when nginx stands in front, configured as the agent does."""

import http.client
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .workers import Worker, wait_until

Fetch = Callable[..., http.client.HTTPResponse]
PARAMS = """
REQUEST_METHOD $request_method; REQUEST_URI $request_uri; PATH_INFO $uri; QUERY_STRING $query_string;
CONTENT_TYPE $content_type; CONTENT_LENGTH $content_length; SERVER_PROTOCOL $server_protocol; REMOTE_ADDR $remote_addr;
REMOTE_PORT $remote_port; SERVER_NAME $server_name; SERVER_PORT $server_port; HTTPS $https
"""
pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")


def configuration(folder: Path, backend: str) -> str:
    params = "".join(f"fastcgi_param {param.strip()};\n" for param in PARAMS.split(";"))
    return f"""
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log info;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi;
    proxy_temp_path {folder}/proxy; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    {params}
    server {{
        listen unix:{folder}/http.sock; server_name shop.example;
        location / {{ fastcgi_pass unix:{backend}; }}
        location /unbuffered/ {{ rewrite ^/unbuffered(/.*)$ $1 break; fastcgi_request_buffering off; fastcgi_pass unix:{backend}; }}
    }}
}}
"""


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("shop.example", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self._path)


@pytest.fixture(scope="module")
def front(plain: Worker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "nginx.conf").write_text("user root;\n" + configuration(folder, plain.path))
    process = subprocess.Popen(
        ["nginx", "-c", str(folder / "nginx.conf"), "-p", str(folder)], stderr=subprocess.DEVNULL
    )
    wait_until(lambda: accepts(folder / "http.sock") or process.poll() is not None)
    yield folder
    process.terminate()
    process.wait()


def accepts(path: Path) -> bool:
    """Tell whether somebody listens: nginx makes the path a moment earlier."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


def fetch(
    front: Path, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    connection = UnixConnection(str(front / "http.sock"))
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    read = response.read()
    connection.close()
    return response.status, dict(response.getheaders()), read


def test_a_page_arrives(front: Path) -> None:
    status, headers, body = fetch(front, "/hello")

    assert (status, headers["Content-Length"], body) == (200, "13", b"Hello, world!")


@pytest.mark.parametrize("path", ["/parts", "/generator", "/file", "/big?5000000", "/written", "/empty"])
def test_every_kind_of_response_arrives(front: Path, path: str) -> None:
    assert fetch(front, path)[0] == 200


def test_a_decoded_path_and_the_raw_address_both_arrive(front: Path) -> None:
    import json

    body = fetch(front, "/%65nviron?a=%20")[2]

    environ = json.loads(body)
    assert (environ["PATH_INFO"], environ["REQUEST_URI"]) == ("/environ", "/%65nviron?a=%20")


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
@pytest.mark.parametrize("size", [0, 1, 40000, 3000000])
def test_uploads_come_back_whole(front: Path, prefix: str, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)

    assert fetch(front, f"{prefix}/echo", method="POST", body=body[:size])[2] == body[:size]


@pytest.mark.parametrize("prefix", ["", "/unbuffered"])
def test_an_early_answer_to_an_upload_arrives(front: Path, prefix: str) -> None:
    assert fetch(front, f"{prefix}/ignore", method="POST", body=b"x" * 500000)[0] == 413


def test_head_has_no_body(front: Path) -> None:
    status, headers, body = fetch(front, "/unsized", method="HEAD")

    assert (status, headers["Content-Length"], body) == (200, "13", b"")


def test_a_response_that_failed_half_way_is_seen_to_be_cut(front: Path) -> None:
    """Either nothing arrives or a body without its end: nginx had not begun to send, or it had."""
    with pytest.raises(http.client.HTTPException):
        fetch(front, "/raises_late")


def test_a_failure_shows_a_number_only(front: Path) -> None:
    status, _, body = fetch(front, "/raises")

    assert status == 500
    assert b"Incident" in body
    assert b"secret" not in body


def test_a_redirect_keeps_its_status(front: Path) -> None:
    import json

    sent = json.dumps(["301 Moved Permanently", [["Location", "/elsewhere"]]]).encode()

    assert fetch(front, "/header", method="POST", body=sent)[0] == 301
