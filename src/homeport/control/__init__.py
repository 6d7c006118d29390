"""The control plane: site store, credentials, desired state, the API behind the command line.

May import: everything but `cli`. Tests: `tests/control`.
"""
