"""Many two-layer nets trained as one computation on shared minibatches: who they are, the arithmetic, the training.

Belongs here: what computes or schedules a stack of nets. Does not: the questions asked of it, one a file, upstairs.
"""
