"""Mistakes made in right code, the textbook: named ones, and such as show only sometimes.

Each is a change of one text; which code is examined, and how, is not said here.
"""

from scratchproof.bank.mistakes.layers import LAYERS
from scratchproof.bank.mistakes.nets import LOSSES_AND_NETS
from scratchproof.bank.mistakes.slip import Slip, mistaken, subject_of
from scratchproof.bank.mistakes.sometimes import SOMETIMES

__all__ = ["NAMED", "SOMETIMES", "Slip", "mistaken", "subject_of"]

NAMED: tuple[Slip, ...] = (*LAYERS, *LOSSES_AND_NETS)
