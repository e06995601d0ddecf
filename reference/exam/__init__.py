"""The exam: trials, checks and corners, the comparison with the truth, the verdict and its cause.

Nothing here prints.
"""
