"""What the control plane remembers: sites, their settings, Pythons and host names.

SQLAlchemy over SQLite (write-ahead log), changed by migrations that run at the start.
"""
