"""Python code with CS231n's names, brought to the contract: found, called in its author's way, and its answers read.

Where the code comes from is the business of the room `finding`; what becomes of the answers that of the exam.
"""
