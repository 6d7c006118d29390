"""Command lines as cmd.exe reads them, as values: expansion, parsing, words, and which shell a line is written for.

Nothing here runs anything: `homeport.scm.commands` does. Kudu reference §1.4 says why: `/api/command` has
cmd.exe semantics.
"""
