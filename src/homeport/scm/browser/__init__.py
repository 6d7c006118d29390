"""The SCM site in a browser: pages rendered on the server, and the scripts that make them live (Kudu reference §10).

`pages` answers for the addresses, `rendering` fills the templates and sets the headers, `assets` serves what lies in
the folder of that name. May import: `windows`, `model` and the other parts of `scm`. Tests: `tests/scm/test_pages.py`,
`tests/browser`.
"""
