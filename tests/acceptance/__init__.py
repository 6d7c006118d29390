"""The whole platform, driven as a person drives it: the installed command, curl-like requests, real processes."""
