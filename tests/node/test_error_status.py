"""Errors on their way through local APIs."""

import json

import pytest

from homeport.model.errors import Conflict, Forbidden, HomeportError, NotFound, Unavailable
from homeport.node.error_status import error_from_json, error_to_json, read_error


@pytest.mark.parametrize(
    "error", [NotFound("gone", code="RuntimeNotFound"), Conflict("busy"), Forbidden("no")]
)
def test_an_error_is_the_same_after_the_way(error: HomeportError) -> None:
    read = error_from_json(error_to_json(error), otherwise="?")
    assert (type(read), read.code, read.message) == (type(error), error.code, error.message)


def test_a_status_of_the_answer_counts_where_the_error_has_none() -> None:
    error = read_error(404, json.dumps({"error": {"code": "X", "message": "m"}}).encode(), otherwise="?")
    assert (type(error), error.code, error.message) == (NotFound, "X", "m")


@pytest.mark.parametrize(
    "content",
    [b"", b"<html>", b"[]", b"null", b'"x"', b"{}", b'{"error": "x"}', b'{"error": {"code": "X"}}', b"\xff"],
)
def test_an_answer_of_another_shape_is_told_in_our_words(content: bytes) -> None:
    error = read_error(502, content, otherwise="It failed.", code="AgentFailed")
    assert (type(error), error.code, error.message) == (Unavailable, "AgentFailed", "It failed.")
