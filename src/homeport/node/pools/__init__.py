"""FastCGI process pools: observe the scoreboard, decide, act.

`decisions` is pure and holds every rule; `pool` owns sockets and processes; `workers` builds what a worker is
started with. Tests: `tests/node/pools`.
"""
