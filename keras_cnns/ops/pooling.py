"""The maximum in each bin of windows of a map: what RoI pooling and spatial pyramid pooling have in common.

Every bin has a size of its own, and windows overlap, so that bin by bin the same pixels would be compared many times.
Instead the maxima of all blocks of 1, 2 or 4 by 1, 2 or 4 pixels are computed once, and a bin takes a few of these;
where they overlap, a maximum does not mind.
"""

from collections.abc import Sequence

import tensorflow as tf

SIDES = (1, 2, 4)  # of the blocks, in pixels: a bin of up to 8 takes two a side


def max_of_bins(features, rows, columns):
    """Return the maximum in every bin: `(B, N, h, w, C)`; of a bin without pixels 0.

    The gradient goes to the first of the bin's pixels, row by row, that has the maximum, as in Caffe.

    Args:
        features: `(B, H, W, C)`.
        rows: where each row of bins begins and ends, the end exclusive: two of `(B, N, h)`, int32, within 0 to H.
        columns: the same of each column of bins, two of `(B, N, w)`, within 0 to W.
    """

    @tf.custom_gradient
    def pool(features):
        channels, shape = features.shape[-1], tf.shape(features)
        pixels = tf.reduce_prod(shape[:3])
        flat = tf.reshape(features, (-1, channels))

        def gradient(upstream):
            numbers = tf.broadcast_to(tf.range(pixels)[:, None], tf.shape(flat))
            _, places = over_bins([flat, numbers], [0, pixels], first_maximum, shape, rows, columns)
            places = tf.where(places < pixels, places * channels + tf.range(channels), -1)  # -1 adds nowhere
            total = tf.math.unsorted_segment_sum(tf.cast(upstream, tf.float32), places, pixels * channels)
            return tf.cast(tf.reshape(total, shape), features.dtype)

        (maxima,) = over_bins([flat], [0], maximum, shape, rows, columns)
        return maxima, gradient

    return pool(features)


def maximum(ours, theirs):
    return [tf.maximum(*ours, *theirs)]


def first_maximum(ours, theirs):
    """The higher value with the number of its pixel; of equal values the lower number."""
    (value, place), (other, other_place) = ours, theirs
    better = (value > other) | ((value == other) & (place < other_place))
    return [tf.maximum(value, other), tf.where(better, place, other_place)]


def over_bins(maps, empty, best, shape, rows, columns):
    """`best` of all pixels of each bin: a list, as `maps`, of `(B, N, h, w, C)`.

    maps: a list of `(B * H * W, C)`, shape: (B, H, W, C). best: function from two such lists, whose pixels may be in
    both, to one. empty: what a bin without pixels has of each map.
    """
    batch, height, width, _ = tf.unstack(shape)
    tables, starts = blocks(maps, best, width)
    tables = [
        tf.concat([*table, tf.fill((1, table[0].shape[-1]), tf.cast(nothing, table[0].dtype))], axis=0)
        for table, nothing in zip(tables, empty, strict=True)
    ]
    down, down_level, down_steps = cover(*rows)
    across, across_level, across_steps = cover(*columns)
    start = tf.gather(starts, down_level[..., :, None] * len(SIDES) + across_level[..., None, :])
    start += tf.range(batch)[:, None, None, None] * height * width
    without = (rows[1] <= rows[0])[..., :, None] | (columns[1] <= columns[0])[..., None, :]

    def lookup(step):
        y, x = down(step // across_steps), across(step % across_steps)
        index = tf.where(without, starts[-1], start + y[..., :, None] * width + x[..., None, :])
        return [tf.gather(table, index) for table in tables]

    def one_more(step, found):
        return step + 1, best(found, lookup(step))

    return tf.while_loop(lambda step, _: step < down_steps * across_steps, one_more, (1, lookup(0)))[1]


def blocks(maps, best, width):
    """`best` of the pixels of all blocks: for each map a list of tables `(places, C)`, and where each table begins when
    one follows the other, and where all end.

    A block is known by its upper left pixel, and its table ends early. One that runs over an edge has pixels that do
    not belong together, and is in no bin. Tables of one row of pixels come first, each for 1, 2 and 4 columns.
    """
    sizes = []
    for k, down in enumerate(SIDES):
        if k:
            maps = join(maps, best, (down - SIDES[k - 1]) * width)
        wide = maps
        for i, across in enumerate(SIDES):
            if i:
                wide = join(wide, best, across - SIDES[i - 1])
            sizes.append(wide)
    lengths = tf.stack([tf.shape(table[0])[0] for table in sizes])
    return list(zip(*sizes, strict=True)), tf.concat([[0], tf.cumsum(lengths)], axis=0)


def join(maps, best, step):
    """`best` of each place and of that which is `step` further; without the last `step` places."""
    return best([each[:-step] for each in maps], [each[step:] for each in maps])  # parts of rows in order: no copies


def cover(first, end):
    """How bins are covered by blocks, along one side: function from the step to where a block begins; the blocks' level
    in `SIDES`; the number of steps that the largest bin takes."""
    extent = end - first
    level = tf.add_n([tf.cast(extent >= side, tf.int32) for side in SIDES[1:]])
    side = tf.gather(SIDES, level)

    def at(step):
        return first + tf.minimum(step * side, extent - side)

    return at, level, tf.maximum(tf.reduce_max(-(-extent // side)), 1)


def spatial_pyramid_pool(features: tf.Tensor, levels: Sequence[int], windows: tf.Tensor | None = None) -> tf.Tensor:
    """Return the maxima of n x n bins for each level n, one behind the other: `(B, bins * C)`, bins the sum of n².

    Of several windows of each map `(B, N, bins * C)`. Over a whole map of a cells a side, level n pools windows of
    ceil(a / n) with stride floor(a / n), as the paper has it. Where that does not give n, as with 10 cells and n = 6,
    and over `windows`, bin i goes from floor(i a / n) to ceil((i + 1) a / n).

    Args:
        features: `(B, H, W, C)`.
        levels: the n of each level.
        windows: `(B, N, 4)`: (x1, y1, x2, y2) in whole cells of the map, int32, x2 and y2 exclusive.

    Source: SPPNet (He et al., PAMI 2015), section 2.3 and appendix A.
    """
    pooled = []
    for n in levels:
        if windows is None:
            level = level_of_map(features, n)[:, None]
        else:
            x1, y1, x2, y2 = tf.unstack(windows, num=4, axis=-1)
            level = max_of_bins(features, shares(y1, y2, n), shares(x1, x2, n))
        outer = tf.shape(level)[:2]
        pooled.append(tf.reshape(level, (outer[0], outer[1], n * n * features.shape[-1])))
    pooled = tf.concat(pooled, axis=-1)
    return pooled[:, 0] if windows is None else pooled


def level_of_map(features, n):
    """One level of a whole map: `(B, n, n, C)`."""
    sides = features.shape[1:3]
    if None not in sides and all(papers_windows(side, n)[2] for side in sides):
        size, strides = ([papers_windows(side, n)[i] for side in sides] for i in (0, 1))
        return tf.nn.max_pool2d(features, size, strides, "VALID")  # the fastest where it applies
    batch, *sides, _ = tf.unstack(tf.shape(features))
    rows, columns = ([tf.broadcast_to(each, (batch, 1, n)) for each in bins_of_map(side, n)] for side in sides)
    return max_of_bins(features, rows, columns)[:, 0]


def bins_of_map(side, n):
    """Where the n bins of all cells of a side, a scalar tensor, begin and end: two of `(n,)`, int32."""
    size, stride, fits = papers_windows(side, n)
    first, end = shares(tf.zeros((), tf.int32), side, n)
    number = tf.range(n)
    return tf.where(fits, number * stride, first), tf.where(fits, number * stride + size, end)


def papers_windows(side, n):
    """Size and stride of the paper's windows along a side, and whether they are n."""
    size, stride = -(-side // n), side // n
    return size, stride, (side >= n) & (side - size >= (n - 1) * stride) & (side - size < n * stride)


def shares(first, end, n):
    """Where n bins of the cells from `first` to `end` begin and end: two of `(..., n)`, int32, of ends `(...)`."""
    number, cells = tf.range(n), (end - first)[..., None]
    return first[..., None] + number * cells // n, first[..., None] - (-(number + 1) * cells // n)
