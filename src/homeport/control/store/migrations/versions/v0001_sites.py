"""The first schema: sites, app settings, Pythons, host names."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_FIRST_UID = 60001


def upgrade() -> None:
    """Make the tables and the platform's row."""
    platform = op.create_table(
        "platform",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("next_uid", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_platform"),
    )
    op.bulk_insert(platform, [{"id": 1, "revision": 1, "next_uid": _FIRST_UID}])
    op.create_table(
        "sites",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.String(60), nullable=False),
        sa.Column("uid", sa.Integer, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("deleting", sa.Boolean, nullable=False),
        sa.Column("created", sa.String(40), nullable=False),
        sa.Column("publishing_user", sa.String(80), nullable=False),
        sa.Column("publishing_password", sa.LargeBinary, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sites"),
        sa.UniqueConstraint("name", name="uq_sites_name"),
        sa.UniqueConstraint("uid", name="uq_sites_uid"),
    )
    op.create_table(
        "app_settings",
        _site_id("app_settings"),
        sa.Column("folded_name", sa.String(256), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "folded_name", name="pk_app_settings"),
    )
    op.create_table(
        "runtimes",
        _site_id("runtimes"),
        sa.Column("folder", sa.String(80), nullable=False),
        sa.Column("extension_id", sa.String(80), nullable=False),
        sa.Column("version", sa.String(20), nullable=False),
        sa.Column("build", sa.String(80), nullable=False),
        sa.Column("base", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "folder", name="pk_runtimes"),
    )
    op.create_table(
        "host_names",
        sa.Column("name", sa.String(255), nullable=False),
        _site_id("host_names"),
        sa.PrimaryKeyConstraint("name", name="pk_host_names"),
    )
    op.create_index("ix_host_names_site_id", "host_names", ["site_id"])


def _site_id(table: str) -> sa.Column[int]:
    key = sa.ForeignKey("sites.id", name=f"fk_{table}_site_id", ondelete="CASCADE")
    return sa.Column("site_id", sa.Integer, key, nullable=False)
