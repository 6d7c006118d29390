"""What services send to `/deploy`, in the members that count (Kudu reference §4.7)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.model.errors import Invalid
from homeport.scm.deployments.hook_payload import Source, read_payload

NOBODY = "0" * 40
GITHUB: dict[str, Any] = {
    "ref": "refs/heads/release/1.0",
    "before": "1" * 40,
    "after": "2" * 40,
    "created": False,
    "deleted": False,
    "base_ref": None,
    "repository": {
        "full_name": "ada/shop",
        "private": False,
        "html_url": "https://github.com/ada/shop",
        "git_url": "git://github.com/ada/shop.git",
        "ssh_url": "git@github.com:ada/shop.git",
        "clone_url": "https://github.com/ada/shop.git",
        "default_branch": "main",
    },
}
GITLAB: dict[str, Any] = {
    "object_kind": "push",
    "ref": "refs/heads/main",
    "after": "2" * 40,
    "repository": {
        "url": "git@gitlab.com:ada/shop.git",
        "git_http_url": "https://gitlab.com/ada/shop.git",
        "git_ssh_url": "git@gitlab.com:ada/shop.git",
        "visibility_level": 20,
    },
}
BITBUCKET: dict[str, Any] = {
    "push": {
        "changes": [
            {"new": {"type": "tag", "name": "v1"}, "old": None},
            {"new": {"type": "branch", "name": "main"}, "old": {"type": "branch", "name": "main"}},
            {"new": None, "old": {"type": "branch", "name": "gone"}},
            {"new": {"type": "branch", "name": "other"}, "old": None},
        ]
    },
    "repository": {
        "full_name": "ada/shop",
        "is_private": False,
        "links": {"html": {"href": "https://bitbucket.org/ada/shop"}},
    },
}


def of_private(payload: dict[str, Any], **members: object) -> dict[str, Any]:
    return {**payload, "repository": {**payload["repository"], **members}}


@pytest.mark.parametrize(
    ("payload", "address", "branches", "deployer"),
    [
        (GITHUB, "https://github.com/ada/shop.git", ("release/1.0",), "GitHub"),
        (GITLAB, "https://gitlab.com/ada/shop.git", ("main",), "GitLab"),
        (BITBUCKET, "https://bitbucket.org/ada/shop", ("main", "other"), "Bitbucket"),
    ],
)
def test_a_push_names_its_branches_and_the_public_address(
    payload: dict[str, Any], address: str, branches: tuple[str, ...], deployer: str
) -> None:
    assert read_payload(payload) == Source(address=address, branches=branches, deployer=deployer)


@pytest.mark.parametrize(
    ("payload", "address"),
    [
        (of_private(GITHUB, private=True), "ssh://git@github.com/ada/shop.git"),
        (of_private(GITLAB, visibility_level=0), "ssh://git@gitlab.com/ada/shop.git"),
        (of_private(BITBUCKET, is_private=True), "ssh://git@bitbucket.org/ada/shop.git"),
        ({"format": "basic", "url": "git@h:~ada/shop.git"}, "ssh://git@h/~ada/shop.git"),
        ({"format": "basic", "url": "https://h/x#abc"}, "https://h/x#abc"),
    ],
)
def test_private_repositories_are_fetched_with_the_sites_ssh_key(
    payload: dict[str, Any], address: str
) -> None:
    found = read_payload(payload)

    assert found is not None
    assert found.address == address


@pytest.mark.parametrize(
    "payload",
    [
        {"zen": "Design for failure.", "hook_id": 1, "hook": {}, "repository": GITHUB["repository"]},
        {**GITHUB, "ref": "refs/tags/v1"},
        {**GITHUB, "deleted": True, "after": NOBODY},
        {**GITLAB, "object_kind": "tag_push", "ref": "refs/tags/v1"},
        {**GITLAB, "after": NOBODY, "checkout_sha": None},
        {**BITBUCKET, "push": {"changes": [BITBUCKET["push"]["changes"][2]]}},
        {**BITBUCKET, "push": None},
    ],
)
def test_pings_tags_and_deleted_branches_change_nothing(payload: dict[str, Any]) -> None:
    found = read_payload(payload)

    assert found is not None
    assert found.branches == ()


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "ext::sh -c id",
        "/etc",
        "-u@h:x",
        "a@-oProxyCommand=id:x",
        "http://[",
        "https://",
        "a@h:/x",
        None,
    ],
)
def test_what_git_is_not_let_go_to_is_named(url: object) -> None:
    with pytest.raises(Invalid, match="fetches from"):
        read_payload({"format": "basic", "url": url})


TEXT = st.sampled_from(["https://h/r", "git@h:r", "refs/heads/x"]) | st.text("ah0:/@.-[ ", max_size=12)
MEMBER = st.sampled_from(["html", "href", "changes", "new", "type", "name", "basic"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBER, inner, max_size=3),
    max_leaves=6,
)
MEMBERS = ("ref", "object_kind", "push", "format", "url", "scm", "after", "deleted")
OF_REPOSITORY = ("clone_url", "git_http_url", "ssh_url", "git_ssh_url", "links", "private", "is_private")


@given(
    st.dictionaries(st.sampled_from(MEMBERS), ANYTHING),
    st.dictionaries(st.sampled_from(OF_REPOSITORY), ANYTHING),
)
def test_nothing_that_is_sent_breaks_the_reading(payload: dict[str, Any], repository: dict[str, Any]) -> None:
    try:
        found = read_payload({**payload, "repository": repository})
    except Invalid:
        return
    assert found is None or found.address.partition("://")[0].lower() in {"http", "https", "ssh"}
