"""The gallery of Pythons, and installing one into a site as App Service's site extensions did.

`ids` reads extension ids, `gallery` says what can be had, `seed` prepares a Python once per machine, `place` puts
it into a site (inside the site's sandbox). May import: `windows`, `model`. Tests: `tests/runtimes`.
"""
