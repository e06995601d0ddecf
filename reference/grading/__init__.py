"""Many submissions in one run: found, shared out to worker processes, recorded one by one, and put in a table.

What a submission is worth and how it is shown is the report's; how it is examined is the exam's.
"""
