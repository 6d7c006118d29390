"""`/api/siteextensions`, `/api/extensionfeed`: the gallery of Pythons and NuGet packages (Kudu reference §7.2 to §7.6).

May import: `http`, `commands`, `deployments`, `agent_channel`, `runtimes.ids`, `model`.
Tests: `tests/scm/test_conformance_extensions.py`, `tests/acceptance/test_site_extensions.py`.
"""
