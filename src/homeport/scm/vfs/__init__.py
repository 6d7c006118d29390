"""`/api/vfs`: the site's files over HTTP (Kudu reference §2).

May import: `http`, `windows`, `model`. Tests: `tests/scm/vfs`.
"""
