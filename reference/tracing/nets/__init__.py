"""This package's own nets with anybody's layers, beside their torch.nn twins, and the worked graphs of the lectures.

Anybody's torch models are in the room above.
"""
