"""The tables, as the newest migration leaves them."""

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_site() -> sa.Column[int]:
    return sa.Column("site_id", sa.ForeignKey("sites.id", ondelete="CASCADE"), primary_key=True)


PLATFORM = sa.Table(
    "platform",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("next_uid", sa.Integer, nullable=False),
)
"""One row: the revision that every change of desired state raises, and the next Unix user to give out."""

SITES = sa.Table(
    "sites",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(60), nullable=False, unique=True),
    sa.Column("uid", sa.Integer, nullable=False, unique=True),
    sa.Column("state", sa.String(20), nullable=False),
    sa.Column("deleting", sa.Boolean, nullable=False),
    sa.Column("created", sa.String(40), nullable=False),
    sa.Column("publishing_user", sa.String(80), nullable=False),
    sa.Column("publishing_password", sa.LargeBinary, nullable=False),
    sa.Column("limits", sa.JSON, nullable=False),
    sa.Column("config", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("basic_auth_scm", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("basic_auth_ftp", sa.Boolean, nullable=False, server_default=sa.true()),
)
PUBLISHING_USERS = sa.Table(
    "publishing_users",
    METADATA,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("password", sa.LargeBinary, nullable=False),
)
"""The user who may publish to every site: one row at most."""

APP_SETTINGS = sa.Table(
    "app_settings",
    METADATA,
    _of_site(),
    sa.Column("folded_name", sa.String(256), primary_key=True),
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("value", sa.LargeBinary, nullable=False),
)
"""`folded_name` is the name without letter case: names of settings that differ only in it are one on Windows."""

RUNTIMES = sa.Table(
    "runtimes",
    METADATA,
    _of_site(),
    sa.Column("folder", sa.String(80), primary_key=True),
    sa.Column("extension_id", sa.String(80), nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("build", sa.String(80), nullable=False),
    sa.Column("base", sa.String, nullable=False),
)
HOST_NAMES = sa.Table(
    "host_names",
    METADATA,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("site_id", sa.ForeignKey("sites.id", ondelete="CASCADE"), nullable=False, index=True),
)
"""Names beside `<site>.<domain>`, which follows from the domain the platform was started with."""

ACCESS_TOKENS = sa.Table(
    "access_tokens",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("site_id", sa.ForeignKey("sites.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("proof", sa.String(64), nullable=False),
    sa.Column("created", sa.Integer, nullable=False),
    sa.Column("expires", sa.Integer),
)
"""What opens one SCM site without a password: `session` of a browser or `token` of a script.

The secret itself is not here, only its SHA-256; `name` is the session's user or the token's name, `proof` ties a
session to the password it was made with. Times are seconds since 1970.
"""

CERTIFICATES = sa.Table(
    "certificates",
    METADATA,
    _of_site(),
    sa.Column("thumbprint", sa.String(40), primary_key=True),
    sa.Column("names", sa.JSON, nullable=False),
    sa.Column("pem", sa.LargeBinary, nullable=False),
)
"""Certificates with their keys, encrypted; `names` are those that each is for."""
