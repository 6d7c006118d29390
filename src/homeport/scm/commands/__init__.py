"""`/api/command`: runs one command line in the site's sandbox as the site's user (Kudu reference §1).

`execution.execute` is the way in. The language is that of `homeport.windows.cmd`; processes and pipes are real.
May import: `windows`, `model`. Tests: `tests/scm/commands`.
"""
