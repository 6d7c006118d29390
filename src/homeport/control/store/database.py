"""Opening the database: its folder, its pragmas, its migrations."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from homeport.model.errors import Conflict

_BUSY_SECONDS = 10


def open_database(folder: Path) -> sa.Engine:
    """Open `<folder>/homeport.db`, made if missing, and bring its schema to the present one."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(folder / "homeport.db")), connect_args={"timeout": _BUSY_SECONDS}
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin_immediate)
    migrate(engine)
    return engine


def migrate(engine: sa.Engine) -> None:
    """Run the migrations that this database has not seen; all of them or none.

    Raises `Conflict` when a newer Homeport has changed the schema.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise Conflict(
                f"{engine.url.database} was written by a newer Homeport; start that one, or restore a backup.",
                code="NewerDatabase",
            ) from error


def _set_pragmas(connection: Any, _record: object) -> None:
    # The driver's own idea of transactions would run CREATE TABLE outside of them.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_immediate(connection: sa.Connection) -> None:
    """Take the write lock at once: two writers then wait for each other instead of one failing midway."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
