"""Augmented crops of photos with what the teacher says of them, kept on disk so that the teacher has to look only once.

A folder holds hints.npz (the main axes of the teacher's features) and any number of sets; set N consists of
N_x.npy (count, S, S, 3) uint8 BGR; N_y.npy (count, 57, S/8, S/8) int8: the maps, PAFs first, times MAPS_SCALE; N_f.npy (count, K, S/8, S/8) int8:
the hints times HINTS_SCALE; N.json: how many crops are finished. 384 pixels: 2.5 MB a crop.
"""

import json
from pathlib import Path

import numpy as np

from distil import targets, views
from distil.hints import main_axes, read_axes, write_axes
from entity import N_JOINTS, N_LIMBS, STRIDE
from errors import InputError
from files import atomic_file, read_bytes
from keypoints.image import PAD_COLOR, normalise
from models.npz import map_npy

MAPS_SCALE, HINTS_SCALE = 110, 32
SHARES = {"labelled": 0.85, "unlabelled": 0.1, "nobody": 0.05}  # of the crops, as far as there are such photos
SAMPLE_CROPS, SAMPLE_CELLS = 120, 200  # from which the main axes are found
AXES = "hints.npz"
TOLD_EVERY = 50  # crops
WINDOWS = {1.0: 0.56, 0.75: 0.44}  # side of a training picture, in sides of a crop: how often
TRIES = 6  # places from which the one that shows most of the photo is taken


class Drawer:
    """Draws crops from photos: crop, poses = drawer(rng)."""

    def __init__(self, photos, side):
        """photos: distil.photos.Photo of COCO (split set) and of folders; side: of the crop, pixels."""
        kinds = {"labelled": [], "unlabelled": [], "nobody": []}
        for photo in photos:
            kinds["labelled" if len(photo.poses) else "nobody" if photo.split else "unlabelled"].append(photo)
        self.kinds = [kind for kind in kinds.items() if kind[1]]
        shares = np.array([SHARES[name] for name, _ in self.kinds])
        self.shares, self.side = shares / shares.sum(), side

    def __call__(self, rng):
        """(side, side, 3) uint8 BGR, poses (n, 18, 3) in its pixels."""
        _, photos = self.kinds[rng.choice(len(self.kinds), p=self.shares)]
        photo = photos[rng.integers(len(photos))]
        image = photo.read()
        view = views.random_view((image.shape[1], image.shape[0]), photo.boxes, self.side, rng)
        return views.seen(image, photo.poses, view, self.side)


def find_axes(net, drawer, hints, rng) -> list:
    """The main axes of the teacher's features on some crops. net: with the outputs of the hints after its own two."""
    rows = [[] for _ in hints]
    crops = ((None, inputs(net, drawer(rng)[0])) for _ in range(SAMPLE_CROPS))
    for _, (_, _, *features) in net.stream(crops):
        for some, feature in zip(rows, features, strict=True):
            cells = feature[0].reshape(feature.shape[1], -1).T
            some.append(cells[rng.choice(len(cells), min(SAMPLE_CELLS, len(cells)), replace=False)])
    return [main_axes(np.concatenate(some), hint) for some, hint in zip(rows, hints, strict=True)]


def inputs(net, crop):
    return normalise(crop, net.arch.scale, net.arch.offset)


def make_set(folder, name, count, net, drawer, hints, rng, progress):
    """Write a set of count crops. progress(n): n more are done. An interruption leaves what is finished."""
    if hints and not (folder / AXES).exists():
        write_axes(folder / AXES, find_axes(net, drawer, hints, rng))
    axes = read_axes(folder / AXES) if (folder / AXES).exists() else []
    if [(each.layer, each.tap, len(each.deviations)) for each in axes] != [(hint.layer, hint.tap, hint.axes) for hint in hints]:
        raise InputError(f"{folder}: the crops here are of another teacher; choose another folder")
    side, cells = drawer.side, drawer.side // STRIDE
    shapes = {"x": (side, side, 3), "y": (2 * N_LIMBS + N_JOINTS + 1, cells, cells), "f": (sum(len(each.deviations) for each in axes), cells, cells)}
    kinds = {"x": np.uint8, "y": np.int8, "f": np.int8}
    told(folder, name, 0)
    arrays = {key: np.lib.format.open_memmap(folder / f"{name}_{key}.npy", "w+", kinds[key], (count, *shape)) for key, shape in shapes.items()}
    done = 0
    try:
        for (crop, poses), (pafs, heatmaps, *features) in net.stream((drawn, inputs(net, drawn[0])) for drawn in (drawer(rng) for _ in range(count))):
            arrays["x"][done] = crop
            arrays["y"][done] = targets.to_int8(targets.raised(pafs[0], heatmaps[0], poses, side), MAPS_SCALE)
            if axes:
                said = [each.project(feature[0]) for each, feature in zip(axes, features, strict=True)]
                arrays["f"][done] = targets.to_int8(np.concatenate(said), HINTS_SCALE)
            done += 1
            progress(1)
            if done % TOLD_EVERY == 0:
                told(folder, name, done)
    finally:
        told(folder, name, done)


def told(folder, name, done):
    with atomic_file(Path(folder) / f"{name}.json") as part:
        part.write_text(json.dumps({"crops": done}))


class CropSets:
    """All sets of a folder, as batches: x, y, f = sets.batch(rng, n_cells)."""

    def __init__(self, folder):
        """Raises InputError if the folder holds no crops."""
        self.sets, self.left = [], []
        for path in sorted(Path(folder).glob("*.json")):
            arrays = read_set(path)
            if len(arrays[0]):
                self.sets.append((*arrays, content_of(arrays[0])))
                self.left.append([])
        if not self.sets:
            raise InputError(f"{folder}: no crops are here; make some: python -m distil.body crops {folder} --coco_dir COCO")
        self.axes = read_axes(Path(folder) / AXES) if self.sets[0][2].shape[1] else []
        numbers = np.array([len(each[0]) for each in self.sets], float)
        self.odds = numbers / numbers.sum()

    def __len__(self):
        return sum(len(each[0]) for each in self.sets)

    def batch(self, rng, n_cells):
        """x (N, W, W, 3) uint8, y (N, 57, W/8, W/8) int8, f (N, K, W/8, W/8) int8: about n_cells cells; each crop of a set comes once a round."""
        number = rng.choice(len(self.sets), p=self.odds)
        x, y, f, content = self.sets[number]
        all_cells = y.shape[2]
        cells = max(1, int(all_cells * rng.choice(list(WINDOWS), p=list(WINDOWS.values()))))
        made = []
        for _ in range(max(1, round(n_cells / cells**2))):
            if not self.left[number]:
                self.left[number] = rng.permutation(len(x)).tolist()
            index = self.left[number].pop()
            top, left = best_place(content[index], cells, rng)
            rows, columns = slice(top, top + cells), slice(left, left + cells)
            pixels = x[index, top * STRIDE : (top + cells) * STRIDE, left * STRIDE : (left + cells) * STRIDE]
            made.append((views.jitter(pixels, rng), y[index, :, rows, columns], f[index, :, rows, columns]))
        return tuple(map(np.stack, zip(*made, strict=True)))


def read_set(path) -> list:
    """x, y and f of the set whose number of crops is in N.json, mapped, not read. Raises InputError."""
    try:
        count = json.loads(read_bytes(path, "crops"))["crops"]
        x, y, f = (map_npy(path.with_name(f"{path.stem}_{key}.npy")) for key in "xyf")
        n, cells = len(x), y.shape[-1]
        side = cells * STRIDE
        shapes = (n, side, side, 3), (n, N_LIMBS * 2 + N_JOINTS + 1, cells, cells), (n, f.shape[1], cells, cells)
        if type(count) is not int or not 0 <= count <= n or cells < 1:
            raise ValueError
        if (x.shape, y.shape, f.shape) != shapes or (x.dtype, y.dtype, f.dtype) != (np.uint8, np.int8, np.int8):
            raise ValueError
    except InputError:
        raise
    except (OSError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        cure = f"remove {path.stem}.json and {path.stem}_*.npy, and make the set again (python -m distil.body crops)"
        raise InputError(f"{path}: expected a set of crops with its three arrays, got something else or a part of it; {cure}") from None
    return [array[:count] for array in (x, y, f)]


def content_of(x):
    """x (count, S, S, 3) uint8 -> (count, S/8 + 1, S/8 + 1) int32: sums over the rectangles from the corner, of cells that show the photo."""
    count, side = x.shape[:2]
    sums = np.zeros((count, side // STRIDE + 1, side // STRIDE + 1), np.int32)
    for n in range(count):
        middles = x[n, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE].astype(np.int16)
        sums[n, 1:, 1:] = (np.abs(middles - PAD_COLOR).max(-1) > 2).cumsum(0).cumsum(1)
    return sums


def best_place(sums, cells, rng):
    """(top, left), cells: where a window of so many cells shows most of the photo, of some places tried. sums: of one crop (content_of)."""
    places = rng.integers(0, len(sums) - cells, (TRIES, 2))
    shown = [
        sums[top + cells, left + cells] - sums[top, left + cells] - sums[top + cells, left] + sums[top, left] + rng.random() for top, left in places
    ]
    return places[int(np.argmax(shown))]
