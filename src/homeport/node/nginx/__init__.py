"""nginx configuration as values: a typed writer, the main file, and a site's server blocks from its HostingPlan.

Pure text in, pure text out; `node.nginx_service` checks and applies it. Tests: `tests/node/nginx`.
"""
