"""A net whose constructor is in no hurry."""

import time


class TwoLayerNet:
    def __init__(self, input_dim, hidden_dim, num_classes):
        time.sleep(3600)
