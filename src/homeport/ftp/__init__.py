"""FTP and FTPS: the front that speaks to clients, and the process that works on a site's files (decision 11).

`front` ends TLS and signs in, without access to any file. `site` runs in the site's sandbox as the site's user and knows
neither passwords nor the certificate's key. May import `node` (how our own processes run) and `model`.
"""
