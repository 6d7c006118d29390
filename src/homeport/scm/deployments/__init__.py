"""Deployments: records, logs, the lock, and the way of a package into the web root (Kudu reference §3.2, §4, §12).

May import: `http`, `settings`, `commands`, `webconfig`, `windows`, `model`. Tests: `tests/scm/deployments`.
"""
