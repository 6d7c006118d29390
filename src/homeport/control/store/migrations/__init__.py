"""Alembic's folder: `versions` brings any older database to the present schema, step by step."""
