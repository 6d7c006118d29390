"""What the SCM site says of its site's health: settings of diagnostics, dump, recent logs, runtimes.

May import: `http`, `zip`, `model`. Tests: `tests/scm/test_diagnostics.py`.
"""
