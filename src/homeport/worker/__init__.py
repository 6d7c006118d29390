"""The FastCGI WSGI host that runs inside a site's own Python (CPython 3.6 to the newest).

May import: the standard library only. `_accelerator.c` is the optional compiled hot loop.
Tests: `tests/worker`.
"""
