"""The page docs/benchmarks.md and its chart, from results alone. Pure. Tests: `tests/bench`."""
