"""Windows text on a Linux machine: paths, %VAR%, command lines, cmd.exe commands.

Pure: no I/O, clock, environment, logging or async. May import: `model`.
Tests: `tests/windows`.
"""
