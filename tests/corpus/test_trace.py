"""`homeport trace` says of every case of the corpus what a real nginx does."""

import pytest

from homeport.webconfig.tracing import Trace, TracedRequest, Verdict, trace_request

from .cases import Case, Request, cases

REQUESTS = [
    pytest.param(case, request, id=f"{case.name}-{at}")
    for case in cases()
    for at, request in enumerate(case.requests)
]


def traced(case: Case, request: Request) -> Trace:
    files = case.files()
    return trace_request(
        case.plan(),
        TracedRequest(
            method=request.method,
            target=request.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body_bytes=request.body_bytes,
            is_file=files.__contains__,
            is_directory=lambda path: not path or any(name.startswith(f"{path}/") for name in files),
        ),
    )


@pytest.mark.parametrize(("case", "request_"), REQUESTS)
def test_the_trace_knows_who_answers_and_why(case: Case, request_: Request) -> None:
    trace = traced(case, request_)

    assert trace.answer == request_.plan
    assert trace.steps
    assert all(step.reason for step in trace.steps)
    if trace.answer == "app":
        assert trace.pool
    if trace.handler:
        assert [
            step.name for step in trace.steps if step.kind == "handler" and step.verdict is Verdict.TAKEN
        ] == [trace.handler]
