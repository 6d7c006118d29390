"""Engines that place plan workers on machines. Nothing lives here yet.

May import: `model`.
"""
