"""URL Rewrite: patterns, templates and rules of a `<rewrite>` section, and what they make of a request.

Pure. `evaluate` is the specification; the nginx configuration made from the same rules must agree with it.
"""
