"""Files a tenant controls: no link, device or upward path takes the agent anywhere."""

import os
from pathlib import Path

import pytest

from homeport.model.errors import Forbidden, HomeportError, Invalid, NotFound
from homeport.node.tenant_files import TenantTree


@pytest.fixture
def tree(tmp_path: Path) -> TenantTree:
    (tmp_path / "home").mkdir()
    (tmp_path / "secret").write_text("of the platform")
    (tmp_path / "home/site").mkdir()
    (tmp_path / "home/site/web.config").write_text("<configuration/>")
    return TenantTree(tmp_path / "home")


def test_a_regular_file_is_read(tree: TenantTree) -> None:
    assert tree.read("site/web.config", limit=100) == b"<configuration/>"


def test_a_file_over_the_limit_is_refused(tree: TenantTree) -> None:
    with pytest.raises(Invalid, match="larger than 5 bytes"):
        tree.read("site/web.config", limit=5)


def test_a_missing_file_is_not_found(tree: TenantTree) -> None:
    with pytest.raises(NotFound):
        tree.read("site/nothing", limit=5)


@pytest.mark.parametrize("path", ["../secret", "site/../../secret", "site/.."])
def test_a_path_that_leads_upwards_is_refused(tree: TenantTree, path: str) -> None:
    with pytest.raises(HomeportError):
        tree.read(path, limit=100)


def test_a_link_in_the_place_of_a_file_is_refused(tree: TenantTree) -> None:
    (tree.root / "site/web.config").unlink()
    (tree.root / "site/web.config").symlink_to("../../secret")

    with pytest.raises(Forbidden):
        tree.read("site/web.config", limit=100)


def test_a_link_in_the_place_of_a_folder_is_refused(tree: TenantTree) -> None:
    (tree.root / "LogFiles").symlink_to("..")

    with pytest.raises(HomeportError):
        tree.open_append("LogFiles/secret", owner=None)
    assert (tree.root.parent / "secret").read_text() == "of the platform"


def test_a_log_that_is_a_link_is_not_written_through(tree: TenantTree) -> None:
    (tree.root / "out.log").symlink_to("../secret")

    with pytest.raises(Forbidden):
        tree.open_append("out.log", owner=None)


def test_a_fifo_does_not_hold_the_agent(tree: TenantTree) -> None:
    os.mkfifo(tree.root / "pipe")

    with pytest.raises(Forbidden):
        tree.read("pipe", limit=10)


def test_a_device_or_socket_is_refused(tree: TenantTree) -> None:
    with pytest.raises(HomeportError):
        TenantTree(Path("/dev")).read("null", limit=10)


def test_folders_are_made_beneath_the_root_only(tree: TenantTree) -> None:
    tree.make_folder("a/b/c", owner=None)

    assert (tree.root / "a/b/c").is_dir()
    with pytest.raises(Forbidden):
        tree.make_folder("a/../../x", owner=None)


def test_a_file_that_exists_is_not_overwritten(tree: TenantTree) -> None:
    tree.write_new("site/web.config", b"new", owner=None)

    assert tree.read("site/web.config", limit=100) == b"<configuration/>"


def test_names_of_a_folder_and_none_for_what_is_no_folder(tree: TenantTree) -> None:
    assert tree.names("site") == ["web.config"]
    assert tree.names("site/web.config") is None
    assert tree.names("nothing") is None
