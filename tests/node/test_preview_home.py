"""The agent takes over what a site prepared for a preview, and is led nowhere by it."""

import os
from pathlib import Path

import pytest

from homeport.model.errors import Conflict, HomeportError, Invalid, NotFound
from homeport.model.preview import STAGING
from homeport.node.layout import NodeLayout
from homeport.node.preview_home import stale_previews, take_home

NAME = "shop--preview-0a1b2c3d"
SHORT = "0a1b2c3d"


@pytest.fixture
def layout(tmp_path: Path) -> NodeLayout:
    layout = NodeLayout(data=tmp_path / "data", run=tmp_path / "run")
    (layout.home("shop") / STAGING).mkdir(parents=True)
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/file").write_text("secret")
    return layout


def prepared(layout: NodeLayout) -> Path:
    return layout.home("shop") / STAGING / SHORT


def take(layout: NodeLayout, owner: int | None = None) -> None:
    take_home(layout, "shop", NAME, SHORT, owner=owner)


def test_what_was_prepared_becomes_the_home_of_the_preview(layout: NodeLayout) -> None:
    (prepared(layout) / "site/wwwroot").mkdir(parents=True)

    take(layout, owner=os.geteuid())

    assert (layout.home(NAME) / "site/wwwroot").is_dir()
    assert not prepared(layout).exists()
    assert stale_previews(layout) == [NAME]


def test_a_link_in_its_place_is_not_followed(layout: NodeLayout, tmp_path: Path) -> None:
    prepared(layout).symlink_to(tmp_path / "secret")

    with pytest.raises(Invalid):
        take(layout)

    assert not layout.site(NAME).exists()
    assert (tmp_path / "secret/file").read_text() == "secret"


@pytest.mark.parametrize("part", ["data", "data/.homeport", STAGING])
def test_a_link_on_the_way_is_not_followed(part: str, layout: NodeLayout, tmp_path: Path) -> None:
    place = layout.home("shop") / part
    place.rename(tmp_path / "aside")
    below = STAGING.removeprefix(part).strip("/")
    (tmp_path / "secret" / below / SHORT).mkdir(parents=True)
    place.symlink_to(tmp_path / "secret")

    with pytest.raises(HomeportError):
        take(layout)

    assert not layout.site(NAME).exists()
    assert (tmp_path / "secret" / below / SHORT).is_dir()


def test_a_file_and_nothing_are_no_home(layout: NodeLayout) -> None:
    with pytest.raises(NotFound):
        take(layout)
    prepared(layout).write_text("x")
    with pytest.raises(Invalid):
        take(layout)

    assert not layout.site(NAME).exists()


def test_a_folder_of_somebody_else_is_no_home(layout: NodeLayout) -> None:
    prepared(layout).mkdir()

    with pytest.raises(Invalid):
        take(layout, owner=os.geteuid() + 1)

    assert not layout.site(NAME).exists()


def test_a_site_of_the_same_name_is_left_alone(layout: NodeLayout) -> None:
    (layout.home(NAME) / "site").mkdir(parents=True)
    prepared(layout).mkdir()

    with pytest.raises(Conflict):
        take(layout)

    assert (layout.home(NAME) / "site").is_dir()
    assert stale_previews(layout) == []
