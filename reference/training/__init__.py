"""Whole trainings, step by step, beside torch.optim.

Single passes are in `tracing`.
"""
