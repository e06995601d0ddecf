"""Whole nets, layer by layer, forward and backward, beside their torch.nn twins.

Training is in the room next door.
"""
