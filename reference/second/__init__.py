"""A second oracle beside torch: the table's rows in JAX, and who is out where the two disagree.

What is asked of subjects, and how it is judged, stands in the exam; where functions of both part, in docs/atlas.md.
"""
