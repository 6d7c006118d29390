"""The WebSocket to debugger tunnel. Nothing lives here yet.

May import: `model`.
"""
