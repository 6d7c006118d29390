"""`/api/processes`: the site's processes as Kudu shows them (Kudu reference §6).

May import: `http`, `agent_channel`, `model`. Tests: `tests/scm/test_conformance_processes.py`, `tests/acceptance/test_processes.py`.
"""
