"""`/api/settings`: what configures deployments, merged from several providers (Kudu reference §5.1).

May import: `http`, `deployments.lock`, `model`. Tests: `tests/scm/settings`.
"""
