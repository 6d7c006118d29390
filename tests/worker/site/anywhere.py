"""Shows the environ at every path."""

import plain

app = plain.environ
