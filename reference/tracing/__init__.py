"""Whole models, call by call, forward and backward, beside a truth.

Training is in the room next door.
"""
