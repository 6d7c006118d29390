"""Why a site does not start, or fails: one cause with its evidence and what to do (`homeport why`).

`causes` decides on what `gathering` has read; the site's own texts are evidence and are never trusted.
May import: `checking`, `deployments`, `failures`, `http`, `settings`, `webconfig`, `model`.
"""
