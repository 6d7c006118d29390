"""The Kudu-compatible SCM site; runs in its site's sandbox as its site's user.

May import: `webconfig`, `windows`, `model`. Tests: `tests/scm`.
"""
