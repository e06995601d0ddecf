"""What people write instead of a row's expression, by the sentence that names the mistake.

A slip is a torch expression of the same inputs, wrong in output or gradient; the exam explains with it, never judges.
"""
