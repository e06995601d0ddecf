"""The table of layers: what each equals in torch, on which inputs it is examined, and the torch.nn twins of whole nets.

Of no subject and of no verdict is anything known here.
"""
