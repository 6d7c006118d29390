"""Switches for basic authentication, and the publishing user of all sites."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the switches, on for every site there is, and the table."""
    for name in ("basic_auth_scm", "basic_auth_ftp"):
        column = sa.Column(name, sa.Boolean, nullable=False, server_default=sa.true())
        op.add_column("sites", column)
    op.create_table(
        "publishing_users",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("password", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_publishing_users"),
    )
