"""What torch says is right, how far rounding may take a correct computation from it, and what is valid at a kink.

Nothing here has seen a subject's answer.
"""
