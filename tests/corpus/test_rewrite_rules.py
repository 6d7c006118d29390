"""Each case of URL Rewrite against the specification."""

from pathlib import PurePosixPath
from urllib.parse import quote_from_bytes, unquote_to_bytes

import pytest

from homeport.webconfig.plan import CONTENT_ROOT
from homeport.webconfig.rewriting.evaluate import (
    Outcome,
    PassedOn,
    Redirected,
    Refused,
    Request,
    evaluate,
)
from homeport.webconfig.rewriting.rules import Abort, Respond
from webconfig.sites import compiled

from .rewrite_cases import FILES, Case, Exchange, cases

FOLDERS = {str(folder) for name in FILES for folder in PurePosixPath(name).parents}
CASES = cases()


def request_of(exchange: Exchange) -> Request:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value.encode() for name, value in exchange.headers}
    headers.pop("HTTP_CLIENT_IP", None)
    target = exchange.target.encode()
    return Request(
        path=exchange.path,
        query=exchange.query,
        target=target,
        variables={
            "REQUEST_METHOD": exchange.method.encode(),
            "HTTPS": b"off",
            "SERVER_PORT_SECURE": b"0",
            "SERVER_PROTOCOL": b"HTTP/1.1",
            "CONTENT_LENGTH": b"0",
            "DOCUMENT_ROOT": CONTENT_ROOT.encode(),
            "APPL_PHYSICAL_PATH": f"{CONTENT_ROOT}/".encode(),
            "REMOTE_ADDR": b"127.0.0.1",
            **headers,
            "HTTP_X_FORWARDED_PROTO": b"http",
            "HTTP_X_ORIGINAL_URL": target,
        },
        is_file=lambda path: _below(path) in FILES,
        is_directory=lambda path: (_below(path).rstrip("/") or ".") in FOLDERS,
    )


def _below(path: bytes) -> str:
    return path.decode("utf-8", "replace").removeprefix(CONTENT_ROOT).lstrip("/")


def shown(outcome: Outcome) -> str:
    match outcome:
        case PassedOn(path=path, query=query, variables=variables):
            headers = [
                f"{name}: {value.decode()}" for name, value in variables.items() if name[:5] == "HTTP_"
            ]
            return " | ".join([f"pass {encoded(path)}{'?' * bool(query)}{query.decode()}", *headers])
        case Redirected(status=status, location=location):
            return f"{status} {location.decode()}"
        case Respond(status=status):
            return str(status)
        case Abort():
            return "abort"
        case Refused():
            return "400"


def encoded(path: bytes) -> str:
    return quote_from_bytes(path)


def normalised(outcome: str) -> str:
    """The path of an expected outcome, encoded as `shown` does it."""
    if not outcome.startswith("pass "):
        return outcome
    url, *headers = outcome.removeprefix("pass ").split(" | ")
    path, mark, query = url.partition("?")
    return " | ".join([f"pass {encoded(unquote_to_bytes(path))}{mark}{query}", *headers])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_specification(case: Case) -> None:
    plan = compiled(case.web_config, folders=case.folders)
    assert plan.rewriting, plan.findings
    for exchange in case.exchanges:
        outcome = shown(evaluate(plan.rewriting, request_of(exchange)))
        assert outcome == normalised(exchange.outcome), exchange
