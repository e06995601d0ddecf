"""Whose code sits the exam: found by its names, and brought to the contract `f(**inputs) -> (out, pullback)`.

Nothing here knows what is right.
"""
