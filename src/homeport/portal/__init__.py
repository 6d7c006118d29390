"""The web portal. Nothing lives here yet.

May import: `model`.
"""
