"""Homeport: your own App Service for Python.

The folders are the architecture; `docs/concepts/architecture.md` is the map. This file stays empty of code:
`homeport.worker` is imported by CPython 3.6 and later through it.
"""
