"""The domain's values and errors: Site, runtime ids, findings, resource limits.

Pure: no I/O, clock, environment, logging or async. May import: nothing of ours.
Tests: `tests/model`.
"""
