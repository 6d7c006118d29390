"""The `homeport` command: `commands/` holds one module for each noun, the rest is what they share.

May import: everything. Tests: `tests/cli`.
"""
