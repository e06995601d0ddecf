"""Runnable questions, one a file: `python -m experiments.NAME --help`. Importing one runs nothing."""

import time

STARTED = time.perf_counter()
"""When the process got here: every record says how long it took from this to the first training step."""
