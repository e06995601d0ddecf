def flatten(x):
    size = 1
    for n in x.shape[1:]:
        size *= n
    return x.reshape(x.shape[0], size)


def window_places(shape, pool_height, pool_width, stride):
    OH = (shape[2] - pool_height) // stride + 1
    OW = (shape[3] - pool_width) // stride + 1
    for i in range(OH):
        for j in range(OW):
            rows = slice(i * stride, i * stride + pool_height)
            cols = slice(j * stride, j * stride + pool_width)
            yield i, j, rows, cols, OH, OW
