"""The stages of R-CNN and SPPNet, each a function of the run's `Work`, that leaves a file or a folder for the next."""

import hashlib

import keras
import numpy as np
import tensorflow as tf
from PIL import Image
from tqdm import tqdm

from keras_cnns.detection import BoxRegressors, SVMs, svm_detections, train_box_regressors, train_svms
from keras_cnns.files import whole
from keras_cnns.training import JIT_COMPILE, Checkpoints, train
from reproductions.record import write_json
from reproductions.region_figures import WAYS
from reproductions.segmentation import VGG_MEAN

CHECKPOINT = 250  # steps


def pixels(path):
    """A photo as the networks see it: RGB minus the mean, float32."""
    with Image.open(path) as photo:
        return np.asarray(photo.convert("RGB"), "float32") - np.float32(VGG_MEAN)


def propose(work):
    counts = [np.mean([len(photo["boxes"]) for photo in photos]) for photos in (work.train_photos, work.test_photos)]
    print(f"{len(work.train_photos):,} photos to learn from, {len(work.test_photos):,} to test on")
    print(f"boxes of a photo: {counts[0]:,.0f} with the objects, {counts[1]:,.0f}")


def fine_tune(work):
    file = work.out / "network.keras"
    if file.exists():
        print(f"{file} is fine-tuned; delete it to have that done anew")
        return
    network, said = work.beginning
    with network.distribute_strategy.scope():
        trained, batches, steps_per_epoch = work.pipeline.training(work, network)
    if not steps_per_epoch:
        raise ValueError(f"the batch size is {work.batch_size}; there are fewer windows.")
    with network.distribute_strategy.scope():
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        trained.compile(work.pipeline.optimizer(work.steps), loss, metrics=["accuracy"], jit_compile=JIT_COMPILE)
        # Keras makes its metrics at the first step, too late for a checkpoint to bring them back.
        trained._symbolic_build(data_batch=(tf.zeros((2, *trained.input_shape[1:])), tf.zeros((2,), tf.int64)))
    length = work.steps, steps_per_epoch, Checkpoints(work.out / "checkpoints", trained), CHECKPOINT
    history = train(trained, batches, *length)
    write_json(work.out / "finetune.json", {"said": said, "history": history})
    with whole(file) as part:
        network.save(part)
    print(f"{network.name}: {network.count_params():,} parameters; {said}; {file}")
    work.__dict__.pop("network", None)


def store(name, features, compute, photos, rows):
    """Compute the features of those photos that have none yet."""
    missing = features.missing()
    with tqdm(total=len(photos), initial=len(photos) - len(missing), desc=name, unit="photo") as bar:
        for number in missing:
            boxes = photos[number]["boxes"][rows[number]]
            values = compute(pixels(photos[number]["path"]), boxes) if len(boxes) else np.zeros((0, features.width))
            features.write(number, values)
            bar.update()


def store_pooled(work):
    photos, compute = work.train_photos, work.pipeline.pooled(work.network)
    store("pooled features", work.pooled_features, compute, photos, work.chosen)


def store_fc7(work):
    photos, compute = work.train_photos, work.pipeline.features(work.network)
    rows = [slice(None)] * len(photos)
    store("features", work.fc7_features, lambda photo, boxes: compute(photo, boxes)[1], photos, rows)


def complete(features, stage):
    if missing := len(features.missing()):
        raise ValueError(f"{missing} photos have no features yet; the stage {stage} computes them.")
    return features


def learn_svms(work):
    features, file = complete(work.fc7_features, "features"), work.out / "svms.npz"
    if known(file, features.of):
        return
    try:
        svms = train_svms(features, work.train_photos, len(work.labels), work.out / "svms_state.npz")
    except ValueError as error:
        raise ValueError(f"{error} (The classes are {', '.join(work.labels)}.)") from None
    keep(file, features.of, svms)
    (work.out / "svms_state.npz").unlink(missing_ok=True)


def learn_boxes(work):
    features, file = complete(work.pooled_features, "pooled"), work.out / "regressors.npz"
    if known(file, features.of):
        return
    settings = work.train_photos, work.chosen, len(work.labels), work.pipeline.lowest
    keep(file, features.of, train_box_regressors(features, *settings))


def known(file, of):
    """Whether a file was made from these features."""
    if file.exists() and str(np.load(file)["of"]) == of:
        print(f"{file} is there; delete it to have it made anew")
        return True
    return False


def keep(file, of, arrays):
    with whole(file) as part:
        np.savez(part, of=of, **arrays._asdict())


def kept(file, of, kind, stage):
    if not file.exists() or str(np.load(file)["of"]) != of:
        raise ValueError(f"{file} is not there for this network; the stage {stage} makes it.")
    with np.load(file) as saved:
        arrays = {name: saved[name] for name in kind._fields}
    return kind(**{name: each if each.ndim else each.item() for name, each in arrays.items()})


def test(work):
    """Find objects in the test photos both ways: {way: [{"boxes", "scores", "labels"}]}."""
    svms = kept(work.out / "svms.npz", work.fc7_features.of, SVMs, "svm")
    regressors = kept(work.out / "regressors.npz", work.pooled_features.of, BoxRegressors, "regression")
    compute = work.pipeline.features(work.network)
    # What was found by other SVMs lies in other folders.
    digest = hashlib.sha256(svms.weights.tobytes() + regressors.weights.tobytes()).hexdigest()[:16]
    found = {way: [] for way in WAYS}
    for photo in tqdm(work.test_photos, "test", unit="photo"):
        for way, each in find(photo, work.out / "detections" / digest, compute, svms, regressors).items():
            found[way].append(each)
    return found


def find(photo, folder, compute, svms, regressors):
    """What is found in a photo, {way: {"boxes", "scores", "labels"}}: from a file if it has been found before."""
    file = folder / f"{photo['path'].stem}.npz"
    if not file.exists():
        image = pixels(photo["path"])
        pooled, fc7 = compute(image, photo["boxes"])
        scores = svms.scores(fc7)
        boxes = photo["boxes"], regressors.boxes(pooled, photo["boxes"])
        folder.mkdir(parents=True, exist_ok=True)
        with whole(file) as part:
            results = zip(WAYS, (svm_detections(scores, each, image.shape[:2]) for each in boxes), strict=True)
            np.savez(part, **{f"{way}/{name}": array for way, each in results for name, array in each.items()})
    with np.load(file) as saved:
        return {way: {name: saved[f"{way}/{name}"] for name in ("boxes", "scores", "labels")} for way in WAYS}


STAGES = {
    "proposals": propose,
    "finetune": fine_tune,
    "features": store_fc7,
    "pooled": store_pooled,
    "svm": learn_svms,
    "regression": learn_boxes,
    "test": test,
}
