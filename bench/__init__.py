"""`make bench`: Homeport beside the usual Python server stacks, on one machine, in one run.

Pure: `samples`, `summary`, `targets`, `report`, `chart`. The rest starts real servers and measures them.
May import: nothing of `homeport` (it is driven by its command, as a person drives it). Tests: `tests/bench`.
"""
