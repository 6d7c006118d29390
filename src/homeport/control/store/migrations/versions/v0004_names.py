"""How sites meet the web, and the certificates that their owners gave."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the configuration, empty for every site there is, and the table."""
    op.add_column("sites", sa.Column("config", sa.JSON, nullable=False, server_default="{}"))
    key = sa.ForeignKey("sites.id", name="fk_certificates_site_id", ondelete="CASCADE")
    op.create_table(
        "certificates",
        sa.Column("site_id", sa.Integer, key, nullable=False),
        sa.Column("thumbprint", sa.String(40), nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
        sa.Column("pem", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("site_id", "thumbprint", name="pk_certificates"),
    )
