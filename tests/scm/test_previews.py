"""What a preview shows: what a rollback would bring, in files of its own."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ScmProcess

from homeport.model.errors import Conflict, NotFound
from homeport.model.preview import LIVE_HOME, STAGING
from homeport.scm.deployments.git_repository import GitRepository
from homeport.scm.deployments.lock import DeploymentLock
from homeport.scm.deployments.store import DeploymentStore
from homeport.scm.options import ScmOptions
from homeport.scm.previews.content import PreviewContent
from homeport.scm.settings.stack import SettingsProviders

Prepare = Callable[[str], Path]


@pytest.fixture
def prepare(scm: ScmProcess) -> Prepare:
    """Give a function that prepares the preview of a deployment."""
    options = ScmOptions(
        home=scm.home,
        temporary=scm.folder / "local/Temp",
        local=scm.folder / "local",
        site="hello",
        hostname="hello.localhost",
        instance="0" * 64,
        environment={"PATH": os.environ["PATH"]},
    )
    store = DeploymentStore(scm.home, lock=DeploymentLock(scm.home, instance="0" * 64))
    content = PreviewContent(
        options,
        store=store,
        repository=GitRepository(scm.home, environment=options.environment),
        providers=SettingsProviders(scm.home, options.environment),
        checkpoint=lambda: None,
    )
    return content.prepare


def tree(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def ids(scm: ScmProcess) -> list[str]:
    return [record["id"] for record in scm.client.get("/api/deployments").json()]


def test_it_is_what_a_rollback_would_bring_and_nothing_of_it_is_the_live_sites(
    scm: ScmProcess, prepare: Prepare
) -> None:
    scm.deploy({"app.py": "old", "gone.py": "1", "same.txt": "same"})
    scm.deploy({"app.py": "new", "added.py": "1", "same.txt": "same"})
    (scm.web_root / "upload.txt").write_text("mine")
    before = tree(scm.web_root)

    content = prepare(ids(scm)[1]) / "site/wwwroot"

    assert tree(content) == {"app.py": "old", "gone.py": "1", "same.txt": "same", "upload.txt": "mine"}
    for path in content.iterdir():
        assert path.stat().st_nlink == 1
        path.write_text("changed")
    assert tree(scm.web_root) == before


def test_times_are_those_that_the_deployment_gave(scm: ScmProcess, prepare: Prepare) -> None:
    scm.deploy({"page.txt": "old"})
    packed = (scm.web_root / "page.txt").stat().st_mtime
    (scm.web_root / "page.txt").unlink()  # what takes the place of an equal file gets a time of its own
    assert (prepare(ids(scm)[0]) / "site/wwwroot/page.txt").stat().st_mtime == packed

    scm.client.post("/api/settings", json={"SCM_ZIPDEPLOY_DONOT_PRESERVE_FILETIME": "1"})
    assert (prepare(ids(scm)[0]) / "site/wwwroot/page.txt").stat().st_mtime > packed


def test_the_rest_of_home_is_the_live_sites_as_the_sandbox_shows_it(
    scm: ScmProcess, prepare: Prepare
) -> None:
    scm.deploy({"app.py": "1"})
    (scm.home / "site/applicationHost.xdt").write_text("<a/>")
    (scm.home / "SiteExtensions/tool").mkdir(parents=True)
    (scm.home / "LogFiles").mkdir(exist_ok=True)

    place = prepare(ids(scm)[0])

    links = {
        path.relative_to(place).as_posix(): str(path.readlink())
        for path in place.rglob("*")
        if path.is_symlink()
    }
    assert links["data"] == f"{LIVE_HOME}/data"
    assert links["LogFiles"] == f"{LIVE_HOME}/LogFiles"
    assert links["site/deployments"] == f"{LIVE_HOME}/site/deployments"
    assert (place / "SiteExtensions/tool").is_dir()
    assert (place / "site/applicationHost.xdt").read_text() == "<a/>"


def test_databases_are_whole_and_apart(scm: ScmProcess, prepare: Prepare) -> None:
    scm.deploy({"app.py": "1"})
    live = sqlite3.connect(scm.web_root / "data.db")
    live.execute("pragma journal_mode=wal")
    live.execute("create table t (x)")
    live.commit()
    live.execute("insert into t values (1)")  # not committed

    content = prepare(ids(scm)[0]) / "site/wwwroot"

    copy = sqlite3.connect(content / "data.db")
    assert copy.execute("select count(*) from t").fetchone() == (0,)
    copy.execute("insert into t values (2)")
    copy.commit()
    live.commit()
    assert live.execute("select x from t").fetchall() == [(1,)]
    copy.close()
    live.close()


def test_what_lies_behind_a_link_in_the_content_is_not_touched(scm: ScmProcess, prepare: Prepare) -> None:
    shared = scm.home / "data/shared"
    scm.deploy({"uploads/a.txt": "old", "b.txt": "old"})
    scm.deploy({"uploads/gone.txt": "new", "b.txt": "new"})
    (scm.web_root / "uploads").rename(shared)
    (scm.web_root / "uploads").symlink_to(shared)

    content = prepare(ids(scm)[1]) / "site/wwwroot"

    assert tree(content) == {"uploads/a.txt": "old", "b.txt": "old"}
    assert tree(shared) == {"gone.txt": "new"}


def test_one_file_of_a_deployment_is_previewed_within_the_rest(scm: ScmProcess, prepare: Prepare) -> None:
    scm.deploy({"app.py": "1"})
    scm.client.post("/api/publish?type=static&path=a/b.txt", content=b"first")
    (scm.web_root / "a/b.txt").write_text("changed")

    content = prepare(ids(scm)[0]) / "site/wwwroot"

    assert tree(content) == {"app.py": "1", "a/b.txt": "first"}


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({".deployment": "[config]\nCOMMAND = exit 0\n"}, "COMMAND"),
        ({".deployment": "[config]\nPROJECT = ../../..\n"}, "PROJECT"),
        ({".deployment": "[config]\nSCM_TARGET_PATH = ../..\n"}, "outside wwwroot"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_leaves_nothing(
    files: dict[str, str], words: str, scm: ScmProcess, prepare: Prepare
) -> None:
    scm.deploy({"app.py": "1", **files})
    before = tree(scm.web_root)

    with pytest.raises(Conflict, match=words):
        prepare(ids(scm)[0])

    assert not (scm.home / STAGING).exists()
    assert tree(scm.web_root) == before


def test_a_deployment_of_which_nothing_was_kept_is_named(scm: ScmProcess, prepare: Prepare) -> None:
    with pytest.raises(NotFound, match="none"):
        prepare("none")


def test_what_a_killed_process_prepared_is_removed_by_the_next(scm: ScmProcess, prepare: Prepare) -> None:
    scm.deploy({"app.py": "1"})
    place = prepare(ids(scm)[0])
    assert place.exists()
    scm.process.kill()
    scm.process.wait()

    scm.start()
    scm.client.get("/api/deployments").raise_for_status()

    assert not place.exists()
    assert tree(scm.web_root) == {"app.py": "1"}


def test_without_an_agent_nobody_can_have_a_preview(scm: ScmProcess) -> None:
    scm.deploy({"app.py": "1"})

    assert scm.client.post(f"/api/homeport/deployments/{ids(scm)[0]}/preview").status_code == 503
    assert scm.client.delete(f"/api/deployments/{ids(scm)[0]}").status_code == 409
