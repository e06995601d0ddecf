"""Shared by all tests: one BLAS thread a process, so that parallel test workers do not fight over the cores."""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
