"""Every case of the corpus: in the pure plan, and on a real nginx with an application behind it."""

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from homeport.node.access_logs import w3c_line
from homeport.node.nginx.access_log import FULL_FIELDS, SEPARATOR
from homeport.node.nginx.server import SiteServer
from node.nginx.running import DEADLINE_SECONDS, FcgiRequest, Folders, Nginx, fcgi_app, running_nginx

from .cases import Case, Request, cases
from .lookup import answer

CASES = {case.name: case for case in cases()}
REQUESTS = [
    pytest.param(case, request, id=f"{case.name}-{at}")
    for case in CASES.values()
    for at, request in enumerate(case.requests)
]


def application(request: FcgiRequest, write: "object") -> None:
    """Answer with what was asked; `/status/N` below any folder answers with that status."""
    asked = request.params["PATH_INFO"]
    status = asked.rpartition("/status/")[2] if "/status/" in asked else "200"
    query = request.params["QUERY_STRING"]
    text = f"app {request.params['REQUEST_METHOD']} {asked}{'?' if query else ''}{query} {len(request.body)}"
    kind = "text/plain" if "/plain" in asked else "text/html"
    padding = "x" * 5000 if "/long" in asked else ""
    assert callable(write)
    write(f"Status: {status} Said\r\nContent-Type: {kind}\r\nX-App: yes\r\n\r\n{text}{padding}".encode())


@pytest.fixture(scope="module")
def nginx() -> Iterator[Nginx]:
    """One nginx with a site for each case."""
    root = Path(tempfile.mkdtemp(prefix="hp-corpus-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, root)
        folders = Folders(root)
        sites = [_site(folders, stack, at, case) for at, case in enumerate(CASES.values())]
        folders.open_up()
        yield stack.enter_context(running_nginx(folders, *sites))


def _site(folders: Folders, stack: ExitStack, at: int, case: Case) -> SiteServer:
    content = folders.content / f"c{at}"
    shutil.copytree(case.site, content)
    plan = case.plan()
    sockets = {pool.id: folders.socket(f"{at}.{pool.id}") for pool in plan.pools}
    for path in sockets.values():
        stack.enter_context(fcgi_app(path, application))
    return folders.site(
        plan,
        name=f"c{at}",
        hostnames=(f"c{at}.localhost",),
        sockets={pool: str(path) for pool, path in sockets.items()},
        content_root=str(content),
        request_log=str(folders.request_log),
    )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_findings_are_those_expected(case: Case) -> None:
    found = [
        f"{finding.file}:{finding.line} {finding.code.removeprefix('webconfig.')}"
        for finding in case.plan().findings
    ]

    assert sorted(found) == sorted(case.findings)


@pytest.mark.parametrize(("case", "request_"), [pytest.param(*one.values, id=one.id) for one in REQUESTS])
def test_the_plan_knows_who_answers(case: Case, request_: Request) -> None:
    assert answer(case.plan(), request_, case.files()) == request_.plan


@pytest.mark.parametrize(("case", "request_"), [pytest.param(*one.values, id=one.id) for one in REQUESTS])
def test_nginx_answers_as_expected(case: Case, request_: Request, nginx: Nginx) -> None:
    host = f"c{list(CASES).index(case.name)}.localhost"
    if request_.status == 0:
        with pytest.raises(ConnectionError):
            nginx.request(request_.path, method=request_.method, host=host)
        return
    response = nginx.request(
        request_.path,
        method=request_.method,
        host=host,
        headers=request_.headers,
        body=b"x" * request_.body_bytes if request_.body_bytes else None,
    )

    assert response.status == request_.status, response.body[:300]
    shown = response.body.decode("latin-1")
    assert request_.text in shown
    for name, value in request_.answer.items():
        assert response.headers.get(name.lower(), "") == value, response.headers


def test_the_access_log_has_the_method_and_the_sub_status_of_each_refusal(nginx: Nginx) -> None:
    expected = {}
    for number, (case, request) in enumerate(one.values for one in REQUESTS):
        status, _, sub_status = request.plan.partition(".")
        if not sub_status.isdigit() or status != str(request.status) or "User-Agent" in request.headers:
            continue
        nginx.request(
            request.path,
            method=request.method,
            host=f"c{list(CASES).index(case.name)}.localhost",
            headers={**request.headers, "User-Agent": f"asked {number}"},
            body=b"x" * request.body_bytes if request.body_bytes else None,
        )
        expected[f"asked+{number}"] = (request.method, status, sub_status)
    deadline = time.monotonic() + DEADLINE_SECONDS
    found: dict[str, tuple[str, str, str]] = {}
    while len(found) < len(expected) and time.monotonic() < deadline:
        threading.Event().wait(0.1)
        for line in nginx.folders.request_log.read_text().splitlines():
            fields = line.split(SEPARATOR)
            shown = w3c_line("c", fields).split(" ") if len(fields) == len(FULL_FIELDS) else []
            if shown and shown[9] in expected:
                found[shown[9]] = (shown[3], shown[13], shown[14])
    assert len(expected) > 50
    assert found == expected


def test_each_case_alone_is_accepted_by_nginx(nginx: Nginx) -> None:
    """The fixture above would not have started otherwise; a reload must take every text as well."""
    folders = nginx.folders
    texts = (folders.root / "sites").glob("c*.conf")

    assert len(list(texts)) == len(CASES)


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 120
    assert all(case.requests for case in CASES.values())
