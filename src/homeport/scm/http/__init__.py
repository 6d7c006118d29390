"""The edge of the SCM site: routes, the request boundary, bodies in and out.

May import: `model`, Starlette. Tests: `tests/scm/http`.
"""
