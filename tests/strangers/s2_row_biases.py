"""S2: the biases have shape (1, H)."""

import numpy as np
import student


class TwoLayerNet(student.TwoLayerNet):
    def start(self, D, H, C, scale):
        return {**super().start(D, H, C, scale), "b1": np.zeros((1, H)), "b2": np.zeros((1, C))}
