"""One row of pictures a photograph: image, truth, FCN-32s, 16s and 8s, as Fig. 4 of Long et al., CVPR 2015.

    python -m reproductions.fcn_camvid_row runs/fcn32s_camvid runs/fcn16s_camvid runs/fcn8s_camvid --data-dir DIR

From the folders of runs of `fcn_camvid`, or of any others that label CamVid's pixels, on its test images.
"""

import argparse
import sys
from pathlib import Path

from keras_cnns.data import camvid
from keras_cnns.export import load_source
from keras_cnns.segmentation import segment
from reproductions.pictures import draw_label_maps, some_with_masks
from reproductions.record import CAMVID, told
from reproductions.run import folder_of


def main(arguments=None):
    parser = argparse.ArgumentParser("python -m reproductions.fcn_camvid_row", description=__doc__)
    parser.formatter_class = argparse.RawTextHelpFormatter
    parser.add_argument("run", type=Path, nargs="+", help="the folders of finished runs, a column each")
    parser.add_argument("--data-dir", type=Path, required=True, help=CAMVID)
    parser.add_argument("--images", type=int, default=4, help="photographs, evenly over the test images (default: 4)")
    parser.add_argument("--out", type=Path, default=Path("runs/fcn_camvid-examples.png"), help="the picture to write")
    return told(draw_row, parser.parse_args(arguments))


def draw_row(options):
    """Write the picture: the photographs, their masks, and each network's label maps."""
    test = camvid(folder_of("camvid", options.data_dir), "test")
    networks = [load_source(run) for run in options.run]
    rows = []
    for photo, mask, _ in some_with_masks(test, options.images):
        maps = [segment(model, [photo], preprocessing)[0] for model, preprocessing, _ in networks]
        rows.append((photo, mask, *maps))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    titles = ("image", "truth", *(model.name for model, _, _ in networks))
    draw_label_maps(rows, titles, test.labels, options.out)
    print(options.out)


if __name__ == "__main__":
    sys.exit(main())
