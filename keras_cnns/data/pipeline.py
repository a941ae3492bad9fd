"""From labelled images to batches that begin at any step, the same every time."""

import functools
import sys
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from keras_cnns.arguments import check_choice
from keras_cnns.data.augmentation import Cut
from keras_cnns.data.random import example_keys, fold, permutation
from keras_cnns.iteration import untuned
from keras_cnns.ops import decode_colour

AT_ONCE = 8  # images that one thread decodes in a row
DCT = {"fast": "INTEGER_FAST", "accurate": "INTEGER_ACCURATE"}


class Images:
    """Labelled images in a fixed order, with the transformations still to be applied.

    Args:
        name: the data set's name, and `description`: version, split, number of images.
        labels: names of the classes.
        size: number of images.
        records: function from None (fixed order) or a seed (shuffled) to a `tf.data.Dataset` of
            (index, name, image, label), an image being uint8 `(height, width, channels)` or encoded bytes.
        arrays: instead of `records`, all of it in memory: uint8 `(size, height, width, channels)` and labels `(size,)`.
        channels: of the decoded image, 1 or 3.
        strict: whether a corrupt image is an error; otherwise it is named, counted in `corrupt` and left out.
        mask: of images whose label is one for every pixel: function from (name, image, label) to the mask, such as a
            `MaskReader`. The transformations are then of pairs, `((image, mask), key)`. A mask may be a tuple.
    """

    def __init__(
        self,
        name: str,
        description: str,
        labels: Sequence[str],
        size: int,
        records: Callable | None = None,
        arrays: tuple | None = None,
        channels: int = 3,
        strict: bool = False,
        mask: Callable | None = None,
    ):
        self.name, self.description, self.labels, self.size = name, description, list(labels), size
        self.channels, self.strict, self.mask = channels, strict, mask
        self.arrays, self._records = arrays, records
        self.corrupt = []
        self._each, self._transforms, self._dct, self._padded = (), (), DCT["fast"], False
        self._task = None  # and the names of the classes before it

    def __len__(self):
        return self.size

    def _copy(self, **changes):
        copy = object.__new__(Images)
        copy.__dict__.update(self.__dict__, **changes)  # the list of corrupt images stays shared
        for graph in ("_transform", "_load"):
            copy.__dict__.pop(graph, None)
        return copy

    def each(self, *functions):
        """The same images with functions of `(image, key)` applied one by one, before batching."""
        return self._copy(_each=self._each + functions)

    def map(self, *functions):
        """The same images with functions of `(images, keys)` applied to whole batches."""
        return self._copy(_transforms=self._transforms + functions)

    def jpeg(self, dct):
        """The same images with JPEG files decoded by another cosine transform.

        dct: "fast", TensorFlow's own choice, or "accurate", that of most other programs; on photographs the pixels
            differ by about one level in the mean.

        Raises:
            ValueError: another `dct`.
        """
        check_choice("dct", dct, tuple(DCT))
        return self._copy(_dct=DCT[dct])

    def padded(self):
        """The same images, those of a batch brought to the size of its largest with zeros at the bottom and the right,
        as are labels of different sizes: Fast R-CNN's released code. Images must have a transformation for each."""
        return self._copy(_padded=True)

    def labelled(self, mask):
        """The same images with another `mask`: function from (name, image, label)."""
        return self._copy(mask=mask)

    def task(self, function, labels):
        """The same images with labels that are made of them: a pretext task. It is the last transformation.

        function: of (images, keys) on whole batches to (inputs, labels), such as those of `data.pretext`. labels: names
            of the new classes.
        """
        return self._copy(_task=(function, self.labels), labels=list(labels))

    def originals(self):
        """The same images without any transformation, and with their own labels."""
        return self._copy(_each=(), _transforms=(), _task=None, labels=self._task[1] if self._task else self.labels)

    def take(self, count):
        """The first `count` images alone; `ValueError` unless the images are held in memory."""
        if self.arrays is None:
            raise ValueError(f"{self.name} is streamed; only images held in memory can be cut to the first {count}.")
        arrays = tf.nest.map_structure(lambda each: each[:count], self.arrays)
        return self._copy(size=min(count, self.size), arrays=arrays)

    def repeated(self, times):
        """The same images so many times as one epoch; `ValueError` unless the images are held in memory."""
        if self.arrays is None:
            raise ValueError(f"{self.name} is streamed; only images held in memory can be repeated.")
        arrays = tf.nest.map_structure(lambda each: np.concatenate([each] * times), self.arrays)
        return self._copy(size=times * self.size, arrays=arrays)

    def batches(self, batch_size, seed=0, epoch=0, shuffle=False, drop_remainder=False, skip=0, count=None):
        """A `tf.data.Dataset` of (images, labels).

        Args:
            shuffle: whether in the order of (seed, epoch) instead of the fixed one.
            drop_remainder: whether to drop a last batch that is not full.
            skip: number of batches to leave out at the start, for a run that is resumed.
            count: number of batches to give, starting over if the images do not suffice; by default until they are
                used up.
        """
        if self.arrays is not None and not self._each and not isinstance(self.arrays[1], tuple):
            images = self._array_batches(batch_size, seed, epoch, shuffle, drop_remainder)
        else:
            records = self.records(int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0]) if shuffle else None)
            images = self._decoded(records, seed, epoch)
            batch = images.padded_batch if self._padded else images.batch
            images = batch(batch_size, drop_remainder=drop_remainder)
        images = images.skip(skip) if count is None else images.repeat().skip(skip).take(count)

        when = tf.constant(seed, tf.int64), tf.constant(epoch, tf.int64)
        transform = lambda *batch: self._transform(*when, *batch)
        images = images.map(transform, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
        options = tf.data.Options()  # several hosts divide every batch among them, not the files that it comes from
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
        return untuned(images.with_options(options))

    @functools.cached_property
    def _transform(self):
        """What is done to a batch: a graph that all epochs share, since to trace one may take a second."""

        @tf.function
        def transform(seed, epoch, index, images, labels):
            keys = example_keys(seed, epoch, index)
            item = (images, labels) if self.mask else images
            for number, function in enumerate(self._transforms):
                item = function(item, fold(keys, 1000 + number))
            if self._task:
                return self._task[0](item, fold(keys, 1000 + len(self._transforms)))
            return item if self.mask else (item, labels)

        return transform

    @functools.cached_property
    def _load(self):
        """What is done to an image, as `_transform` is of a batch."""

        @tf.function
        def load(seed, epoch, index, name, image, label):
            key = example_keys(seed, epoch, index)
            functions = list(enumerate(self._each))
            if image.dtype == tf.string and functions and isinstance(self._each[0], Cut):
                (number, cut), *functions = functions
                image = decode_and_cut(image, self.channels, self._dct, cut, fold(key, number))
            else:
                image = decode(image, self.channels, self._dct)
            item = (image, self.mask(name, image, label)) if self.mask else image
            for number, function in functions:
                item = function(item, fold(key, number))
            image, label = item if self.mask else (item, label)
            return index, image, label, name, True

        return load

    def _array_batches(self, batch_size, seed, epoch, shuffle, drop_remainder):
        images, labels = self.arrays
        order = permutation(self.size, seed, epoch) if shuffle else np.arange(self.size)
        with tf.device("CPU"):
            images, labels = tf.constant(images), tf.constant(labels, None if self.mask else tf.int64)
        indices = tf.data.Dataset.from_tensor_slices(order).batch(batch_size, drop_remainder)
        return indices.map(lambda index: (index, tf.gather(images, index), tf.gather(labels, index)))

    def records(self, seed=None):
        """A `tf.data.Dataset` of (index, name, image, label), in the fixed order or shuffled by a seed."""
        if self.arrays is None:
            return self._records(seed)
        images, labels = self.arrays
        order = np.arange(self.size) if seed is None else permutation(self.size, seed, 0)
        names = np.array([f"{self.name}[{index}]" for index in order])
        labels = tf.nest.map_structure(lambda each: each[order] if self.mask else np.int64(each[order]), labels)
        return tf.data.Dataset.from_tensor_slices((order, names, images[order], labels))

    def _decoded(self, records, seed, epoch):
        """(index, image, label) of records, with the per-image functions applied and corrupt images left out."""

        when = tf.constant(seed, tf.int64), tf.constant(epoch, tf.int64)
        load = lambda *record: self._load(*when, *record)

        def load_or_tell(*record):
            # A dataset of one record: an error in it ends it without ending the others.
            loaded = tf.data.Dataset.from_tensors(record).map(load)
            nothing = tf.nest.map_structure(
                lambda each: tf.zeros([side or 0 for side in each.shape], each.dtype), loaded.element_spec[1:3]
            )
            index, name, *_ = record
            failed = (index, *nothing, name, False)
            failed = tf.data.Dataset.from_tensors(failed)
            return loaded.ignore_errors(log_warning=False).concatenate(failed).take(1)

        def load_some(*records):
            # To isolate each record by itself is slow. So the good ones of a few come first, and only if
            # that leaves some out does anyone ask for more: each is then tried alone, and those that fail are told.
            some = tf.data.Dataset.from_tensor_slices(records)
            good = some.map(load).ignore_errors(log_warning=False)
            bad = some.flat_map(load_or_tell).filter(lambda *loaded: ~loaded[-1])
            return good.concatenate(bad).take(tf.shape(records[0], tf.int64)[0])

        def good(index, image, label, name, loaded):
            return tf.cond(loaded, lambda: True, lambda: tf.py_function(self._tell, [name], tf.bool))

        threads = {"num_parallel_calls": tf.data.AUTOTUNE, "deterministic": True}
        if self.arrays is not None:  # decoded already: none can be corrupt
            return records.map(load, **threads).map(lambda index, image, label, *_: (index, image, label))
        images = records.batch(AT_ONCE).interleave(load_some, cycle_length=8, block_length=AT_ONCE, **threads)
        return images.filter(good).map(lambda index, image, label, name, loaded: (index, image, label))

    def _tell(self, name):
        name = name.numpy().decode()
        self.leave_out(name, getattr(self.mask, "faults", {}).get(name, "cannot be decoded"))
        return False

    def leave_out(self, name, fault):
        """Count a file among the corrupt ones and say what is wrong with it, or raise `ValueError` if `strict`."""
        if self.strict:
            raise ValueError(f"{name} {fault} (--strict makes that an error).")
        if name not in self.corrupt:
            self.corrupt.append(name)
            tqdm.write(f"left out: {name} {fault} ({len(self.corrupt)} so far)", file=sys.stderr)

    def in_memory(self):
        """The same images, decoded once and held as arrays; they must all have one size.

        Raises:
            ValueError: none of them can be used, or with `strict` one cannot.
        """
        loaded = list(untuned(self._decoded(self.records(), 0, 0).batch(1024)))
        if not loaded:
            raise ValueError(f"{self.name} has no image that can be used; {len(self.corrupt)} were left out.")
        arrays = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *(each[1:] for each in loaded))
        return self._copy(arrays=arrays, size=len(arrays[0]), _each=())


def decode(image, channels, dct):
    """uint8 `(height, width, channels)` of encoded bytes (JPEG, PNG, BMP, first frame of a GIF), or of an image."""
    if image.dtype == tf.string:
        image = tf.cond(
            tf.io.is_jpeg(image),
            lambda: tf.io.decode_jpeg(image, channels, dct_method=dct),
            lambda: decode_other(image, channels),
        )
        return tf.ensure_shape(image, (None, None, channels))
    return image


def decode_other(encoded, channels):
    """As `decode`, of what is no JPEG."""
    if channels == 3:
        return decode_colour(encoded)
    return tf.cond(  # TensorFlow makes grey of a PNG alone
        tf.strings.substr(encoded, 0, 4) == b"\x89PNG",
        lambda: tf.io.decode_png(encoded, channels),
        lambda: tf.image.rgb_to_grayscale(decode_colour(encoded)),
    )


def decode_and_cut(encoded, channels, dct, cut, key):
    """`cut` of encoded bytes: of a JPEG only the part that it needs is decoded, to the same pixels."""

    def of_jpeg():
        shape = tf.io.extract_jpeg_shape(encoded)[:2]
        (top, left, height, width), finish = cut.part(shape, key)
        # Colours are stored at half the width and smoothed between neighbours: one column more on either side.
        before, after = tf.minimum(left, 1), tf.minimum(shape[1] - left - width, 1)
        box = tf.stack([top, left - before, height, before + width + after])
        pixels = tf.image.decode_and_crop_jpeg(encoded, box, channels, dct_method=dct)
        return finish(tf.ensure_shape(pixels, (None, None, channels))[:, before : before + width])

    # A JPEG without its end may be damaged below the part: only decoding all of it would tell.
    whole = tf.strings.substr(encoded, -2, 2) == b"\xff\xd9"
    return tf.cond(tf.io.is_jpeg(encoded) & whole, of_jpeg, lambda: cut(decode(encoded, channels, dct), key))


def statistics(images: Images, batch_size: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean of images of one size `(height, width, channels)`, and the covariance of their pixels
    `(channels, channels)`, both float32."""
    total, outer, count = 0.0, 0.0, 0
    with tqdm(total=len(images), desc="mean and covariance", unit="image", disable=len(images) < 10_000) as bar:
        for batch, _ in images.batches(batch_size):
            pixels = batch.numpy().astype("float64")
            total = total + pixels.sum(axis=0)
            flat = pixels.reshape(-1, pixels.shape[-1])
            outer = outer + flat.T @ flat
            count += len(pixels)
            bar.update(len(pixels))
    mean = total / count
    channel_mean = mean.mean(axis=(0, 1))
    covariance = outer / (count * mean.shape[0] * mean.shape[1]) - np.outer(channel_mean, channel_mean)
    return mean.astype("float32"), covariance.astype("float32")
