"""The gallery of Pythons, and installing one into a site as App Service's site extensions did.

May import: `windows`, `model`. Tests: `tests/runtimes`.
"""
