import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from homeport.control.secrets_at_rest import SecretBox, new_password, open_secret_box
from homeport.control.store.database import migrate, open_database
from homeport.control.store.publishing import PublishingStore
from homeport.control.store.schema import METADATA
from homeport.control.store.sites import SiteStore
from homeport.model.errors import Conflict, NotFound, Unavailable
from homeport.model.secret import Secret
from homeport.model.site import InstalledRuntime, Limits, SiteName, SiteState, site_name

HELLO = site_name("hello")
PYTHON = InstalledRuntime(
    folder="python361x64", id="python361x64", version="3.6.15", build="cpython-3.6.15", base="/opt/python"
)


def opened(folder: Path) -> SiteStore:
    return SiteStore(open_database(folder), open_secret_box(folder / "key"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SiteStore]:
    store = opened(tmp_path / "control")
    yield store
    store.close()


def create(store: SiteStore, name: str = "hello") -> None:
    store.create(site_name(name), password=Secret("secret-password"))


def test_a_new_site_runs_with_a_user_and_credentials_of_its_own(store: SiteStore) -> None:
    create(store)

    site = store.site("hello")

    assert (site.uid, site.state, site.publishing_user) == (60001, SiteState.RUNNING, "$hello")
    assert site.publishing_password == Secret("secret-password")


def test_a_site_is_found_whatever_the_letter_case(store: SiteStore) -> None:
    create(store)

    assert store.site("HELLO").name == "hello"


def test_a_name_is_given_once(store: SiteStore) -> None:
    create(store)

    with pytest.raises(Conflict, match="exists already"):
        create(store)


def test_an_unknown_site_is_not_found(store: SiteStore) -> None:
    with pytest.raises(NotFound, match="no site 'nobody'"):
        store.site("nobody")


def test_the_user_of_a_deleted_site_is_not_given_out_again(store: SiteStore) -> None:
    create(store)
    store.begin_deletion("hello")
    store.end_deletion("hello")

    create(store)

    assert store.site("hello").uid == 60002


def test_nobodys_ids_are_given_to_no_site(store: SiteStore, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "control/homeport.db") as database:
        database.execute("UPDATE platform SET next_uid = 65534")
    database.close()

    create(store)

    assert store.site("hello").uid == 65536


def test_a_site_being_deleted_is_gone_but_keeps_its_name_and_user(store: SiteStore) -> None:
    create(store)

    store.begin_deletion("hello")

    assert store.sites() == ()
    assert PublishingStore(store._engine, store._box).access("hello") is None
    with pytest.raises(Conflict, match="still being deleted"):
        create(store)


def test_everything_of_a_site_goes_with_it(store: SiteStore) -> None:
    create(store)
    store.put_settings("hello", {"A": "1"})
    store.put_runtime("hello", PYTHON)
    store.begin_deletion("hello")
    store.end_deletion("hello")

    create(store)

    site = store.site("hello")
    assert (site.app_settings, site.runtimes) == ({}, ())


def test_settings_that_differ_in_letter_case_are_one(store: SiteStore) -> None:
    create(store)
    store.put_settings("hello", {"Mode": "a", "other": "x"})

    site = store.put_settings("hello", {"MODE": "b"})

    assert {name: value.reveal() for name, value in site.app_settings.items()} == {"MODE": "b", "other": "x"}


def test_replacing_settings_removes_those_not_given(store: SiteStore) -> None:
    create(store)
    store.put_settings("hello", {"a": "1", "b": "2"})

    site = store.put_settings("hello", {"b": "3"}, replace=True)

    assert {name: value.reveal() for name, value in site.app_settings.items()} == {"b": "3"}


def test_a_setting_that_is_not_there_cannot_be_deleted(store: SiteStore) -> None:
    create(store)

    with pytest.raises(NotFound, match="no setting 'X'"):
        store.delete_setting("hello", "X")


def test_a_runtime_replaces_the_one_in_its_folder(store: SiteStore) -> None:
    create(store)
    store.put_runtime("hello", PYTHON)

    site = store.put_runtime("hello", InstalledRuntime(**{**_fields(PYTHON), "version": "3.6.16"}))

    assert [runtime.version for runtime in site.runtimes] == ["3.6.16"]


def test_limits_are_remembered(store: SiteStore) -> None:
    create(store)
    limits = Limits(memory_bytes=None, cpu_percent=50, processes=10, request_body_bytes=1)

    store.set_limits("hello", limits)

    assert store.site("hello").limits == limits


def test_every_change_raises_the_revision(store: SiteStore) -> None:
    create(store)
    revisions = [store.snapshot()[0]]
    for change in (
        lambda: store.set_state("hello", SiteState.STOPPED),
        lambda: store.set_limits("hello", Limits()),
        lambda: store.put_settings("hello", {"A": "1"}),
        lambda: store.delete_setting("hello", "a"),
        lambda: store.put_runtime("hello", PYTHON),
        lambda: store.delete_runtime("hello", "python361x64"),
        lambda: store.begin_deletion("hello"),
    ):
        change()
        revisions.append(store.snapshot()[0])

    assert revisions == sorted(set(revisions))


@settings(max_examples=25, deadline=None)
@given(given_settings=st.dictionaries(st.text(min_size=1, max_size=20), st.text(max_size=40), max_size=4))
def test_settings_come_back_as_they_were_given(
    tmp_path_factory: pytest.TempPathFactory, given_settings: dict[str, str]
) -> None:
    store = opened(tmp_path_factory.mktemp("store"))
    create(store)

    site = store.put_settings("hello", given_settings)
    store.close()

    expected = {name.casefold(): value for name, value in given_settings.items()}
    assert {name.casefold(): value.reveal() for name, value in site.app_settings.items()} == expected


def test_no_secret_is_readable_in_the_files(tmp_path: Path) -> None:
    store = opened(tmp_path)
    create(store)
    store.put_settings("hello", {"DATABASE": "value-of-the-setting"})
    store.close()

    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert b"secret-password" not in content
    assert b"value-of-the-setting" not in content


def test_nobody_else_can_open_the_folder_or_the_key(tmp_path: Path) -> None:
    opened(tmp_path / "control").close()

    modes = [path.stat().st_mode & 0o777 for path in (tmp_path / "control", tmp_path / "control/key")]

    assert modes == [0o700, 0o600]


def test_another_key_is_noticed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    create(store)
    store.close()
    (tmp_path / "key").unlink()

    with pytest.raises(Unavailable, match="do not fit the key file"):
        opened(tmp_path).site("hello")


def test_passwords_are_long_and_never_the_same() -> None:
    passwords = {new_password().reveal() for _ in range(50)}

    assert len(passwords) == 50
    assert {len(password) for password in passwords} == {60}


def test_a_sealed_secret_shows_nothing_of_itself() -> None:
    box = SecretBox(b"0" * 43 + b"=")

    assert b"open sesame" not in box.seal(Secret("open sesame"))
    assert box.open(box.seal(Secret("open sesame"))) == Secret("open sesame")


def test_the_migrations_make_the_schema_that_the_code_uses(tmp_path: Path) -> None:
    engine = open_database(tmp_path)

    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()

    assert differences == []


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    create(store)

    migrate(open_database(tmp_path))

    assert [site.name for site in store.sites()] == [SiteName("hello")]


def test_a_database_of_a_newer_homeport_is_not_touched(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "homeport.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()

    with pytest.raises(Conflict, match="newer"):
        open_database(tmp_path)


def test_a_kill_loses_no_site_that_was_confirmed(tmp_path: Path) -> None:
    """The child creates sites and prints each name once it is stored; it is killed in the middle of its work."""
    code = (
        "import sys; from pathlib import Path\n"
        "from homeport.control.secrets_at_rest import new_password, open_secret_box\n"
        "from homeport.control.store.database import open_database\n"
        "from homeport.control.store.sites import SiteStore\n"
        "from homeport.model.site import site_name\n"
        "folder = Path(sys.argv[1])\n"
        "store = SiteStore(open_database(folder), open_secret_box(folder / 'key'))\n"
        "for number in range(10**6):\n"
        "    print(store.create(site_name(f's{number}'), password=new_password()).name, flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout
    confirmed = {child.stdout.readline().strip() for _ in range(20)}
    child.send_signal(signal.SIGKILL)
    confirmed |= {line.strip() for line in child.communicate()[0].splitlines()}

    store = opened(tmp_path)

    assert confirmed - {""} <= {site.name for site in store.sites()}
    with sa.create_engine(f"sqlite:///{tmp_path}/homeport.db").connect() as connection:
        assert connection.execute(sa.text("PRAGMA integrity_check")).scalar() == "ok"


def _fields(runtime: InstalledRuntime) -> dict[str, str]:
    return {name: getattr(runtime, name) for name in ("folder", "id", "version", "build", "base")}
