"""COCO's people as training samples; run by itself, it shows some.

python coco_data_loader.py --coco_dir coco
python coco_data_loader.py --coco_dir coco --split val --seed 3 --out samples.png
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from pycocotools import mask as rle
from tqdm import tqdm

import cli
from entity import COCO_DIR, TRAINING
from errors import InputError
from evaluation.coco import SPLITS, check_pictures, is_trained_on, mask_name, mask_path, open_coco, paused_collector, to_poses
from keypoints import draw
from keypoints.augment import augment, fit_matrix, mask_cells, warp
from keypoints.image import normalise
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from streams import results
from streams.picture import read_image
from streams.window import has_screen, show_picture

SPLIT_OF_MODE = {"train": "train", "val": "val", "eval": "val"}
MAX_COORDINATE = 1e5  # of a polygon; larger ones would take pycocotools all the memory
MAX_PERIMETER = 2e6  # pixels; pycocotools takes 60 bytes and more for each


class Picture(NamedTuple):
    """A picture of COCO and its people."""

    image_id: int
    file_name: str
    size_wh: tuple
    poses: np.ndarray  # (n, 18, 3) float64: x, y, v in pixels; everybody with a labelled joint
    boxes: np.ndarray  # (m, 4) float64: x, y, width, height of those to train on
    annotations: tuple  # COCO's own entries; those that masks are made of, or in mode "eval" all


class CocoDataLoader:
    """x, pafs, heatmaps, ignore_mask = CocoDataLoader("coco", 368, "train", rng)[0]; a dataset for Chainer's iterators, which can be pickled.

    x (3, insize, insize) float32, BGR / 255 - 0.5; pafs (38, insize / 8, insize / 8) and heatmaps (19, ...) float32; ignore_mask
    (insize / 8, insize / 8) bool, True where a cell does not count: half of its pixels, or more, are ignored.

    Modes: "train": train2017, augmented (keypoints/augment.py). "val": val2017, nothing random: the whole picture as large as it fits, in the
    middle. "eval": val2017, (image (H, W, 3) uint8, COCO's annotations of it, image id) of every picture. Except in "eval", pictures without
    anybody to train on (entity.TRAINING) are left out. Labels are made for every labelled joint, those of ignored people too.

    The ignore mask is read where gen_ignore_mask.py has written it, and else made from the annotations: the same mask.
    """

    def __init__(self, coco, insize=TRAINING.insize, mode="train", rng=0, coco_dir=COCO_DIR, use_masks=True):
        """coco: COCO's folder, or a pycocotools.coco.COCO, whose folder is then coco_dir. insize: a multiple of 8, pixels. rng: a
        numpy.random.Generator or a seed, for indexing; `sample` takes its own. use_masks: read mask files where there are any.

        Raises InputError if COCO is not complete, or nobody is left to train on.
        """
        self.coco_dir = coco_dir if hasattr(coco, "dataset") else coco
        self.insize, self.mode, self.split = insize, mode, SPLIT_OF_MODE[mode]
        self.rng = np.random.default_rng(rng)
        path, self.folder, dataset = open_coco(coco, self.coco_dir, self.split)
        self.masks = {file.name for file in mask_path(self.coco_dir, self.split, 0).parent.glob("*.png")} if use_masks else set()
        with paused_collector():
            self.pictures = self._pictures(dataset)
        if not self.pictures:
            wanted = f"{TRAINING.min_keypoints} labelled joints and {TRAINING.min_area} pixels at least"
            raise InputError(f"annotations {path}: no picture has anybody to train on ({wanted}); take COCO's person_keypoints file")
        check_pictures([{"file_name": picture.file_name} for picture in self.pictures], self.folder)

    def _pictures(self, dataset):
        annotations, people = dataset["annotations"], {image["id"]: [] for image in dataset["images"]}
        for number, annotation in enumerate(annotations):
            people[annotation["image_id"]].append(number)
        poses = to_poses([annotation["keypoints"] for annotation in annotations])
        images = sorted(dataset["images"], key=lambda image: image["id"])
        pictures = (self._picture(image, [annotations[n] for n in people[image["id"]]], poses[people[image["id"]]]) for image in images)
        return [picture for picture in pictures if self.mode == "eval" or len(picture.boxes)]

    def _picture(self, image, people, poses):
        trained = [is_trained_on(person) for person in people]
        boxes = [person["bbox"] for person, is_trained in zip(people, trained, strict=True) if is_trained]
        needs_mask = not all(trained) and mask_name(image["id"]) not in self.masks
        kept = people if self.mode == "eval" or needs_mask else ()
        labelled = poses[(poses[..., 2] > 0).any(1)]
        return Picture(
            image["id"],
            image["file_name"],
            (image["width"], image["height"]),
            labelled,
            np.reshape(np.array(boxes, np.float64), (-1, 4)),
            tuple(kept),
        )

    def __len__(self):
        return len(self.pictures)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self.get_example(i) for i in range(*index.indices(len(self)))]
        return self.get_example(index)

    def get_example(self, index):
        """What the mode says of picture number `index`; in mode "train" with the randomness of the loader's own rng."""
        if self.mode != "eval":
            return self.sample(index, self.rng)
        picture = self.pictures[index]
        return self.read(picture), list(picture.annotations), picture.image_id

    def sample(self, index, rng=None):
        """x, pafs, heatmaps, ignore_mask of picture number `index`: a function of index and rng's state alone. Mode "val" needs no rng.

        Raises InputError if the picture or its mask cannot be read.
        """
        image, mask, poses = self.view(index, rng)
        centers = cell_centers(self.insize)
        return normalise(image)[0], make_pafs(poses, centers, centers), make_heatmaps(poses, centers, centers), mask_cells(mask)

    def view(self, index, rng=None):
        """What a sample is made of: image (insize, insize, 3) uint8, mask (insize, insize) bool, poses (n, 18, 3) in its pixels."""
        picture = self.pictures[index]
        image, mask = self.read(picture), self.read_mask(picture)
        if self.mode == "train":
            return augment(image, mask, picture.poses, rng, picture.boxes, self.insize)
        return warp(image, mask, picture.poses, fit_matrix(picture.size_wh, self.insize), self.insize)

    def read(self, picture):
        """The picture, (H, W, 3) uint8 BGR."""
        path = self.folder / picture.file_name
        image = read_image(path, turn=False)
        _check_size(path, image, picture)
        return image

    def read_mask(self, picture):
        """(H, W) bool, True where pixels do not count."""
        path = mask_path(self.coco_dir, self.split, picture.image_id)
        if path.name not in self.masks:
            return self.make_mask(picture)
        try:
            mask = read_image(path)[..., 0]
            _check_size(path, mask, picture)
        except InputError as error:
            raise InputError(f"{error} (remove it, or run gen_ignore_mask.py again)") from None
        return mask > 127

    @staticmethod
    def make_mask(picture):
        """(H, W) bool, from the annotations: the regions of those who are ignored minus those of the others, grown by a box."""
        width, height = picture.size_wh
        trained, ignored = [], []
        for person in picture.annotations:
            (trained if is_trained_on(person) else ignored).append(person)
        region = _region(ignored, width, height)
        if region.any():
            region &= ~_region(trained, width, height)
        box = np.ones((TRAINING.mask_dilation, TRAINING.mask_dilation), np.uint8)
        return cv2.dilate(region.view(np.uint8), box).view(bool)


def _check_size(path, image, picture):
    if image.shape[1::-1] != picture.size_wh:
        expected, got = (f"{width}x{height}" for width, height in (picture.size_wh, image.shape[1::-1]))
        raise InputError(
            f"picture {path}: expected {expected} pixels, as the annotations say, got {got}; run ./getData.sh (masks: gen_ignore_mask.py)"
        )


def _region(people, width, height):
    """(height, width) bool: the pixels of any of them. Polygons or run lengths, compressed or not."""
    parts = []
    for person in people:
        segmentation = person.get("segmentation")
        try:
            parts += (_polygons if isinstance(segmentation, list) else _run_lengths)(segmentation, width, height)
        except (TypeError, ValueError, KeyError, OverflowError, AttributeError):
            expected = f"expected polygons or run lengths of {width}x{height} as segmentation"
            raise InputError(f"annotation {person['id']}: {expected}, got something else; take COCO's file") from None
    return rle.decode(rle.merge(parts)).view(bool) if parts else np.zeros((height, width), bool)


def _polygons(segmentation, width, height):
    polygons = [polygon for polygon in segmentation if len(polygon) >= 6]  # pycocotools takes fewer numbers for a box, or fails
    for polygon in polygons:
        points = np.array(polygon)
        if points.dtype.kind not in "iuf" or points.ndim != 1 or not np.abs(points).max() < MAX_COORDINATE:
            raise ValueError
        if np.abs(np.diff(points[: len(points) // 2 * 2].reshape(-1, 2), axis=0)).sum() > MAX_PERIMETER:
            raise ValueError
    return rle.frPyObjects(polygons, height, width) if polygons else []


def _run_lengths(segmentation, width, height):
    """In pycocotools' form. Lengths that do not add up would make it read what is not there."""
    counts = segmentation["counts"]
    if list(segmentation["size"]) != [height, width]:
        raise ValueError
    if isinstance(counts, list):
        if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != width * height:
            raise ValueError
        return [rle.frPyObjects(segmentation, height, width)]
    if rle.encode(rle.decode(segmentation))["counts"] != (counts.encode() if isinstance(counts, str) else counts):
        raise ValueError
    return [segmentation]


HEADINGS = ("skeletons", "heatmaps", "PAFs", "what does not count")  # of draw_sample's strip


def draw_sample(image, mask, poses):
    """A strip of a sample: skeletons, heatmaps, PAFs, and what does not count; (insize, 4 insize, 3) uint8."""
    centers = cell_centers(image.shape[0])
    heatmaps, pafs = make_heatmaps(poses, centers, centers), make_pafs(poses, centers, centers)
    views = draw.draw_poses(image, poses), draw.draw_heatmaps(image, heatmaps), draw.draw_pafs(image, pafs), draw.draw_mask(image, mask_cells(mask))
    return np.hstack(views)


def parser():
    p = cli.Parser(prog="coco_data_loader.py", description=__doc__)
    cli.add_coco_dir(p)
    p.add_argument("--split", choices=SPLITS, default="train", help="Take samples of this part of COCO (default: train).")
    p.add_argument(
        "--seed",
        type=partial(cli.whole_number, least=0),
        default=0,
        metavar="N",
        help="Choose the pictures and vary them by this number; another one shows others (default: 0).",
    )
    p.add_argument(
        "--insize",
        type=cli.stride_multiple,
        default=TRAINING.insize,
        metavar="PIXELS",
        help=f"Cut samples of this side (default: {TRAINING.insize}).",
    )
    p.add_argument("--number", type=partial(cli.whole_number, most=64), default=6, metavar="N", help="Show N samples on a sheet (default: 6).")
    p.add_argument("--out", metavar="PICTURE", help="Write a sheet into this picture (default: a window; without a screen samples.png).")
    return p


def show_samples(options):
    out = options.out or (None if has_screen() else "samples.png")
    if out is not None:
        results.check_image_path(out)
    rng = np.random.default_rng(options.seed)
    loader = CocoDataLoader(options.coco_dir, options.insize, options.split)
    order = rng.permutation(len(loader))
    for begin in range(0, len(order), options.number):
        numbers = tqdm(order[begin : begin + options.number], unit="sample", disable=None, leave=False)
        sheet = np.vstack([draw.make_headings(HEADINGS, options.insize), *(draw_sample(*loader.view(number, rng)) for number in numbers)])
        if out is not None:
            results.write_image(out, sheet)
            print(f"{out}: {min(options.number, len(order))} of {len(loader)} samples; each: skeletons, heatmaps, PAFs, what does not count (red)")
            return
        if not show_picture("samples (any key: more; q: end)", sheet):
            return


def main(argv=None) -> int:
    return cli.run(parser(), show_samples, argv)


if __name__ == "__main__":
    sys.exit(main())
