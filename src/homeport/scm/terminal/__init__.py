"""The console's terminals: a shell on a pseudo-terminal, carried over a WebSocket (Kudu reference §10.2).

`endpoint` is the WebSocket, `session` one shell and its pseudo-terminal, `prompt` the CMD prompt, which runs as a process
of its own on that terminal. May import: `windows`, `model`, `scm.commands`. Tests: `tests/scm/test_terminal.py`.
"""
