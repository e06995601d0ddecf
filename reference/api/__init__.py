"""What people import: `examine` and its like, for a function of their own. The names are in `scratchproof.__all__`.

How a verdict is reached belongs in the rooms below; what is here turns arguments into rows and results into reports.
"""
