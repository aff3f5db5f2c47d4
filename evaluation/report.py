"""An evaluation as one page, FOLDER/index.html, that opens from disk: figures, errors of each keypoint, the worst and the best pictures."""

import os
import re
from html import escape
from pathlib import Path

import numpy as np

from errors import InputError
from evaluation import html
from evaluation.charts import keypoint_chart, precision_chart
from evaluation.coco import to_poses
from evaluation.keypoint_errors import extremes
from files import check_path
from keypoints.draw import draw_labels, draw_poses
from keypoints.image import fit_size, resize
from streams.picture import read_image
from streams.results import encode_image

PAGE = "index.html"
CHART, CURVES = "keypoints.png", "precision.png"
GROUPS = {"worst": "The worst pictures", "best": "The best pictures"}
OURS = re.compile(rf"{PAGE}|{CHART}|{CURVES}|(worst|best)(_\d\d\.jpg|\.png)")  # names of files in a report; the last ones until 2026
MARK = '<meta name="generator" content="evaluate_coco_pose.py">'  # by which a page of ours is known
N_PICTURES = 12  # of each group
SHORT_SIDE = 480  # pixels of each picture


def check_folder(folder):
    """Raise InputError if no report can be written there: a file, a place that cannot be written, a folder of anything but a report."""
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise InputError(f"--report {folder}: expected a folder's name, got a file; choose another name")
        check_path(folder, "--report")
        return
    names, page = set(os.listdir(folder)), folder / PAGE  # noqa: PTH208 (names are what is wanted)
    if not all(map(OURS.fullmatch, names)) or (names and not (page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace"))):
        raise InputError(f"--report {folder}: expected a new or empty folder, or an earlier report, got one with other files; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--report {folder}: the folder is not writable; choose another one")


def make(folder, document, pictures, comparisons) -> dict:
    """The files of a report, {path: bytes}; the folder is made where it is not there.

    document: {"figures", "curves", "keypoints", "run", ...} as evaluate_coco_pose.py writes it; pictures: {image id: path};
    comparisons: {image id: evaluation.keypoint_errors.Comparison}.
    """
    folder, files, captions = Path(folder), {}, {}
    for group, numbers in zip(GROUPS, extremes(comparisons, N_PICTURES), strict=True):
        names = {f"{group}_{place:02d}.jpg": number for place, number in enumerate(numbers, 1)}
        files |= {name: make_picture(pictures[number], comparisons[number]) for name, number in names.items()}
        captions[group] = {name: caption(pictures[number], comparisons[number]) for name, number in names.items()}
    files |= {CHART: keypoint_chart(document["keypoints"]), CURVES: precision_chart(document["curves"])}
    files[PAGE] = make_page(document, captions).encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--report {folder}: cannot be made ({error.strerror}); choose another name") from None
    return {folder / name: data for name, data in files.items()}


def remove_older(folder, files):
    """Remove from a folder what an earlier report had and this one has not. files: the paths of this one."""
    kept = {Path(path).name for path in files}
    for path in Path(folder).iterdir():
        if path.name not in kept and OURS.fullmatch(path.name):
            path.unlink()


def describe(document) -> str:
    """Two lines: what was run, and how long it took."""
    run = document["run"]
    again = " with a second look" if run["second_look"] else ""
    scales = f"one scale{again}" if run["scales"] == [1] else f"scales {', '.join(f'{value:g}' for value in run['scales'])}"
    return (
        f"{run['arch']} ({run['weights']}), {run['engine']} on {run['device']}, precision: {run['precision']}; "
        f"short side {run['short_side']}, {scales}, {'with' if run['flip'] else 'without'} flip\n"
        f"{run['split']}: {run['images']} of {run['images_of_the_split']} images, {document['people']} labelled people, "
        f"{document['detections']} detections, {document['seconds_per_image']:.3f} s per image"
    )


def text_of(document) -> str:
    """What is printed: what was run, the ten figures as a table, the errors of the keypoints."""
    lines = [
        describe(document),
        "",
        f"{'OKS':4}{'0.50:0.95':>10}{'0.50':>8}{'0.75':>8}{'medium':>8}{'large':>8}",
    ]
    for first in ("AP", "AR"):
        values = [document["figures"][first + end] for end in ("", "50", "75", "m", "l")]
        cells = [_number(value) for value in values]
        lines.append(f"{first:4}{cells[0]:>10}" + "".join(f"{cell:>8}" for cell in cells[1:]))
    lines += ["", f"{'keypoint':14}" + "".join(f"{name:>9}" for name in document["keypoints"][0] if name != "name")]
    for row in document["keypoints"]:
        cells = [_number(value) for value in list(row.values())[1:]]
        lines.append(f"{row['name']:14}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def make_page(document, captions) -> str:
    """HTML with relative links only. captions: {group: {picture's name: text}}."""
    run, figures = document["run"], document["figures"]
    head = f"{run['arch']} on {run['split']}"
    rows = [[first, *(_number(figures[first + end]) for end in ("", "50", "75", "m", "l"))] for first in ("AP", "AR")]
    parts = [
        f"<h1>{escape(head)}: AP {_number(figures['AP'])}</h1>",
        f"<pre>{escape(describe(document))}</pre>",
        html.table(["OKS", "0.50:0.95", "0.50", "0.75", "medium", "large"], rows),
        "<h2>Precision and recall</h2>",
        "<p>From right to left the threshold of the score rises: fewer people are found, and more of the detections are right.</p>",
        html.picture(CURVES, "Precision over recall"),
        "<h2>What became of the labelled keypoints</h2>",
        "<p>Good: similarity to the label of 0.5 or more; near: 0.1 to 0.5; far: below; missing: the person was found without it; "
        "unfound: no detection is like the person (OKS below 0.1). Distance: the mean, per square root of the person's area.</p>",
        html.picture(CHART, "Bars of the shares of each keypoint"),
        html.table(list(document["keypoints"][0]), [[_number(value) for value in row.values()] for row in document["keypoints"]]),
    ]
    for group, texts in captions.items():
        if texts:
            parts += [
                f"<h2>{GROUPS[group]}</h2>",
                "<p>By the mean OKS over the labelled people. Left: labelled, with each one's OKS; right: found.</p>",
            ]
            parts.append(html.pictures(texts))
    return html.page(head, parts, MARK)


def _number(value) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def caption(path, comparison) -> str:
    """One line on a picture."""
    n_found = int((comparison.match >= 0).sum())
    return f"{Path(path).name}: OKS {comparison.mean_oks:.2f}, {n_found} of {len(comparison.oks)} found"


def make_picture(path, comparison) -> bytes:
    """A JPEG: the labelled people with each one's OKS on the left and the detections on the right.

    Necks are drawn at the midpoint of the shoulders, for COCO has none.
    """
    tile, scale = make_tile(read_image(path, turn=False), comparison)
    labels = [
        (f"{oks:.2f}", *(keypoints[keypoints[:, 2] > 0, :2].min(0) * scale)) for keypoints, oks in zip(comparison.truth, comparison.oks, strict=True)
    ]
    return encode_image("tile.jpg", draw_labels(tile, labels))


def make_tile(image, comparison):
    """(H, W, 3) uint8 BGR: the picture twice, the labelled people on the left, the detections on the right; and the scale, (2,) x and y."""
    size_wh = fit_size((image.shape[1], image.shape[0]), SHORT_SIDE)
    scale_xy = np.divide(size_wh, (image.shape[1], image.shape[0]))
    small = resize(image, size_wh)
    halves = []
    for people in (comparison.truth, comparison.found):
        poses = to_poses(people)
        poses[..., :2] = (poses[..., :2] + 0.5) * scale_xy - 0.5
        halves.append(draw_poses(small, poses))
    gap = np.full((size_wh[1], 6, 3), 255, np.uint8)
    return np.hstack([halves[0], gap, halves[1]]), scale_xy
