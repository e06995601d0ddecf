"""Where images come from: CIFAR-10 through torchvision, image folders, the synthetic set; and their cache.

The only room that imports torchvision.
"""
