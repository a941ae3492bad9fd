"""Max pooling whose output size is rounded up, as in Zeiler & Fergus, ECCV 2014, Fig. 3, and in Caffe's networks."""

import keras


def ceil_max_pooling(x, name):
    """Return the 3x3 max pooling with stride 2 of maps without negative values, its size rounded up.

    `(batch, height, width, channels)` to `(batch, ceil((height - 1) / 2), ceil((width - 1) / 2), channels)`: on an even
    side the last window hangs over the lower or right edge by one pixel, on an odd side none does. Sides are of at
    least 2 pixels; a side of None takes any.
    """
    sides = x.shape[1:3]
    hangs_over = [side is None or side % 2 == 0 for side in sides]
    if None not in sides and all(hangs_over):  # "same" does just that, and without a padded copy
        return keras.layers.MaxPooling2D(3, strides=2, padding="same", name=name)(x)
    if any(hangs_over):  # no window reaches the padding of an odd side
        x = keras.layers.ZeroPadding2D([(0, int(hangs)) for hangs in hangs_over], name=f"{name}_pad")(x)
    return keras.layers.MaxPooling2D(3, strides=2, name=name)(x)
