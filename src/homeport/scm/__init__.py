"""The Kudu-compatible SCM site; runs in its site's sandbox as its site's user.

`http` is the edge (routes, bodies, request boundary), `vfs`, `settings`, `deployments` and `commands` are Kudu's
parts of those names, `application` assembles them, `serving` runs the process.
May import: `webconfig`, `windows`, `model`. Tests: `tests/scm`.
"""
