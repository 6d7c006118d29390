"""Previews of kept deployments: preparing what one shows, and the calls that begin and end it (decision 12).

May import: `deployments`, `http`, `settings`, `model`. Tests: `tests/scm/test_previews.py`.
"""
