"""The oracle, the exam and the verdict: torch on one side, any implementation on the other.

This package never imports `scratch`: the from-scratch layers are a subject like any other, found by name.
"""
