"""The judge of generated kernels: a candidate file, in a process of its own, beside a reference in float64.

What is asked, what is allowed and what a wrong answer is called belong here; how operations round is the oracle's.
"""
