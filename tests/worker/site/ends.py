import atexit

from plain import app  # noqa: F401

atexit.register(print, "the application's exit task ran")
