"""The measurements: each starts what it needs, yields samples and leaves nothing running."""
