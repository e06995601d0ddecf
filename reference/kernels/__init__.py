"""Kernels and the problems that they are written for: how both are read, drawn, sized, run and timed.

Which answer is right is not known here; that is for the judge.
"""
