"""`/api/zip`: folders as archives, both ways (Kudu reference §3.1).

May import: `http`, `vfs`, `deployments.archive`, `model`. Tests: `tests/scm/test_zip.py`.
"""
