"""Who may read metrics, and what they get."""

import pytest

from .memory_agent import MemoryAgent
from .running import Control


def test_prometheus_reads_metrics_with_the_token(control: Control, agent: MemoryAgent) -> None:
    token = control.call("GET", "/metrics/token")["token"]

    answer = control.auth.get("/metrics", headers={"Authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.text) == (200, "homeport_requests 1\n")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"]
)
def test_nobody_else_does(given: str, control: Control, agent: MemoryAgent) -> None:
    token = control.call("GET", "/metrics/token")["token"]

    answer = control.auth.get("/metrics", headers={"Authorization": given.format(token=token)})

    assert (answer.status_code, "homeport_requests" in answer.text) == (401, False)


def test_the_token_is_not_what_names_are_proved_with(control: Control) -> None:
    control.call("POST", "/sites", 201, name="hello")

    assert (
        control.call("GET", "/sites/hello/hostnames")["verification_id"]
        != (control.call("GET", "/metrics/token")["token"])
    )


def test_the_command_line_gets_counts(control: Control, agent: MemoryAgent) -> None:
    assert control.call("GET", "/metrics")["counts"] == [{"site": "hello", "requests": 1}]
