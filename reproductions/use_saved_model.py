"""Classify images with an exported network, in a process that has TensorFlow and not this library.

    python reproductions/use_saved_model.py runs/resnet_digits/saved_model runs/resnet_digits/test_images/*.png

Each image is sent twice, as the bytes of its file and as a uint8 array. The true label is read from the file's name,
`NUMBER-LABEL.png`.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf


def main(saved_model, *files):
    model = tf.saved_model.load(saved_model)  # kept alive while its signatures are used
    by_bytes, by_array = model.signatures["bytes"], model.signatures["serving_default"]
    channels = by_array.structured_input_signature[1]["images"].shape[-1]
    encoded = [Path(file).read_bytes() for file in files]
    arrays = [tf.io.decode_image(data, channels=channels, expand_animations=False) for data in encoded]

    from_bytes = by_bytes(bytes=tf.constant(encoded))  # of any sizes; arrays of one size could go together too
    from_arrays = [by_array(images=array[None]) for array in arrays]
    right = 0
    print(f"{'file':<16} {'true':<12} {'from bytes':<22} from uint8")
    for number, file in enumerate(files):
        true = Path(file).stem.partition("-")[2]
        said = []
        for output, row in ((from_bytes, number), (from_arrays[number], 0)):
            label = output["labels"][row, 0].numpy().decode()
            said.append((label, f"{label} ({float(tf.reduce_max(output['probabilities'][row])):.3f})"))
        right += all(label.replace("/", "_") == true for label, _ in said)
        print(f"{Path(file).name:<16} {true:<12} {said[0][1]:<22} {said[1][1]}")
    print(f"{right} of {len(files)} right both ways, by a process without keras_cnns")
    assert not any(name.startswith("keras_cnns") for name in sys.modules)


if __name__ == "__main__":
    main(*sys.argv[1:])
