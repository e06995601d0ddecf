"""The bank: wrong versions of right code, and how many of them the exam catches.

Mutants are made of the source text of any module given; of whose code they are, nothing is known here.
"""
