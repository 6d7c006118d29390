"""Each case of URL Rewrite against a real nginx: it must do what the specification says."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from http.client import BadStatusLine

import pytest

from homeport.webconfig.plan import PoolKind
from node.nginx.running import POOL, FcgiRequest, Folders, Nginx, fcgi_app, python_plan, running_nginx
from webconfig.sites import compiled

from .rewrite_cases import FILES, Case, Exchange, cases
from .test_rewrite_rules import encoded, normalised

CASES = cases()
CASES_HOST = "shop.example"


def echo(request: FcgiRequest, write: Callable[[bytes], None]) -> None:
    write(b"Status: 200 OK\r\nContent-Type: application/json\r\n\r\n" + json.dumps(request.params).encode())


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    folders = Folders(tmp_path_factory.mktemp("n"))
    for name, text in FILES.items():
        file = folders.content / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folders.root / "secret.txt").write_text("secret")
    sites = []
    for case in CASES:
        plan = compiled(case.web_config, folders=case.folders)
        pools = tuple(replace(pool, kind=PoolKind.PROGRAM) for pool in python_plan().pools)
        plan = python_plan(rewriting=plan.rewriting, places=plan.places, pools=pools)
        name = case.name.replace("_", "-")
        sites.append(folders.site(plan, name=name, hostnames=(host(case), f"www.{host(case)}")))
    with ExitStack() as stack:
        stack.enter_context(fcgi_app(folders.socket(POOL), echo))
        yield stack.enter_context(running_nginx(folders, *sites))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nginx_does_what_the_specification_says(case: Case, nginx: Nginx) -> None:
    for exchange in case.exchanges:
        assert answered(nginx, case, exchange) == expected(case, exchange), exchange


def host(case: Case) -> str:
    """Every case has a site of its own, and its own host in the place of the one that it asks for."""
    return f"{case.name.replace('_', '-')}.example"


def answered(nginx: Nginx, case: Case, exchange: Exchange) -> str:
    headers = dict(exchange.headers)
    named = headers.pop("Host", CASES_HOST).replace(CASES_HOST, host(case))
    try:
        response = nginx.request(exchange.target, method=exchange.method, host=named, headers=headers)
    except (BadStatusLine, ConnectionResetError):
        return "abort"
    if response.status == 200:
        params = json.loads(response.body)
        path = params["PATH_INFO"].encode("utf-8", "surrogateescape")
        query = params["QUERY_STRING"]
        assert params["HTTP_X_ORIGINAL_URL"] == params["UNENCODED_URL"] == exchange.target
        sent = [f"{name}: {params.get(name, '')}" for name, _ in variables(exchange)]
        return " | ".join([f"pass {encoded(path)}{'?' * bool(query)}{query}", *sent])
    location = response.headers.get("location")
    return f"{response.status} {location}" if location else str(response.status)


def variables(exchange: Exchange) -> list[tuple[str, str]]:
    pairs = [part.partition(": ") for part in exchange.outcome.split(" | ")[1:]]
    return [(name, value) for name, _, value in pairs]


def expected(case: Case, exchange: Exchange) -> str:
    return normalised(exchange.outcome).replace(CASES_HOST, host(case))
