"""S3: loss needs labels; there is no test mode."""

import student


class TwoLayerNet(student.TwoLayerNet):
    def loss(self, X, y):
        return super().loss(X, y)
