"""The ARM template language: parse, evaluate, plan. Nothing lives here yet.

Pure: no I/O, clock, environment, logging or async. May import: `model`.
"""
