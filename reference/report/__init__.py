"""What was found, told: to a reader and to a program.

Nothing here decides.
"""
