"""Names and times of previews."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.model.preview import (
    IDLE_SECONDS,
    LONGEST_SECONDS,
    MOST_PREVIEWS,
    Lifetime,
    free_slot,
    is_preview_name,
    preview_id,
    preview_name,
)
from homeport.model.site import new_site_name, site_name

SITES = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?", fullmatch=True)
DEPLOYMENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}", fullmatch=True)


@pytest.mark.parametrize(
    ("deployment", "short"),
    [
        ("0a8a1f886f8f4158aad6ecc618cf5f1e", "0a8a1f88"),
        ("0a8a1f88", "0a8a1f88"),
        ("8aab0d14-15c2-41c5-be6c-47a2ca1a2042", "8aab0d14"),
        ("0a8a1f8", "8943a883"),
        ("release-7", "f55ebad9"),
    ],
)
def test_a_deployment_is_known_by_eight_digits(deployment: str, short: str) -> None:
    assert preview_id(deployment) == short


@pytest.mark.parametrize("text", ["", ".", "..", "../x", "a/b", "a b", "a\n", "é", "-a", "x" * 101, "a\0"])
def test_what_cannot_be_a_deployment_has_no_name(text: str) -> None:
    with pytest.raises(Invalid):
        preview_id(text)


@given(SITES, DEPLOYMENTS)
def test_every_name_is_a_label_of_a_host_name_and_no_name_for_a_new_site(site: str, deployment: str) -> None:
    name = preview_name(site, preview_id(deployment))

    assert re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", name)
    assert is_preview_name(name)
    with pytest.raises(Invalid):
        new_site_name(name)


def test_long_names_that_begin_alike_stay_apart() -> None:
    names = {preview_name("a" * 59 + end, "0a8a1f88") for end in "bc"}

    assert len(names) == 2
    assert preview_name("shop", "0a8a1f88") == "shop--preview-0a8a1f88"


def test_sites_that_there_are_keep_names_that_new_ones_cannot_have() -> None:
    assert site_name("my--site") == "my--site"


@given(st.floats(0, 1e9), st.floats(0, 1e6))
def test_it_ends_unless_it_is_used_and_never_lives_longer_than_a_working_day(
    started: float, later: float
) -> None:
    ends = Lifetime(started=started, used=started + later).ends

    assert ends <= started + LONGEST_SECONDS
    assert ends <= started + later + IDLE_SECONDS
    assert ends in (started + LONGEST_SECONDS, started + later + IDLE_SECONDS)


def test_places_are_taken_in_turn_and_given_back() -> None:
    taken: frozenset[int] = frozenset()
    while (slot := free_slot(taken)) is not None:
        taken |= {slot}

    assert len(taken) == MOST_PREVIEWS
    assert free_slot(taken - {2}) == 2
