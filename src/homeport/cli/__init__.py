"""The `homeport` command.

May import: everything. Tests: `tests/cli`.
"""
