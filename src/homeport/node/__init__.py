"""The agent of one machine: pools, sandbox, sockets, nginx compiler, watcher, logs.

May import: `runtimes`, `webconfig`, `windows`, `model`. Tests: `tests/node`.
"""
