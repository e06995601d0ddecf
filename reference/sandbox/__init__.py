"""A stranger's code kept apart: its own process, its limits, and what of it may cross.

Nothing here knows a layer's truth; what the code returned is judged in the exam.
"""
