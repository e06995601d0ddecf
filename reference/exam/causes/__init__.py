"""Naming the cause: from answers that are wrong to the mistake that explains them, and to code that shows it.

What a cause says has been computed and compared, never guessed; which mistakes a layer invites is data of its row.
"""
