"""`homeport check`: what of a site's content will not work here, found without running it.

Runs as the site's user in its sandbox (SCM site, deployments), or as a person's own user on a folder.
"""
