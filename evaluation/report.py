"""An evaluation as one page, FOLDER/index.html, that opens from disk: figures, errors of each keypoint, the worst and the best pictures."""

import io
import os
from html import escape
from pathlib import Path

import cv2
import numpy as np

from errors import InputError
from evaluation.coco import to_poses
from evaluation.keypoint_errors import KINDS, extremes
from files import check_path
from keypoints.draw import draw_poses
from keypoints.image import fit_size, resize
from streams.picture import read_image

PAGE = "index.html"
SHEETS = {"worst.png": "The worst pictures", "best.png": "The best pictures"}
CHART = "keypoints.png"
FILES = {PAGE, CHART, *SHEETS}
MARK = '<meta name="generator" content="evaluate_coco_pose.py">'  # by which a page of ours is known
N_PICTURES = 12  # of each sheet
COLUMNS, SHORT_SIDE = 3, 320  # of a sheet; pixels of each picture on it
KIND_COLORS = ("#1b7837", "#7fbf7b", "#e08214", "#b2abd2", "#bbbbbb")
STYLE = """body { font: 16px/1.5 sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right }
th:first-child, td:first-child { text-align: left } img { max-width: 100% } pre { overflow-x: auto }"""


def check_folder(folder):
    """Raise InputError if no report can be written there: a file, a place that cannot be written, a folder of anything but a report."""
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise InputError(f"--report {folder}: expected a folder's name, got a file; choose another name")
        check_path(folder, "--report")
        return
    names, page = set(os.listdir(folder)), folder / PAGE  # noqa: PTH208 (names are what is wanted)
    if names - FILES or (names and not (page.is_file() and MARK in page.read_text(encoding="utf-8", errors="replace"))):
        raise InputError(f"--report {folder}: expected a new or empty folder, or an earlier report, got one with other files; choose another name")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--report {folder}: the folder is not writable; choose another one")


def make(folder, document, pictures, comparisons) -> dict:
    """The files of a report, {path: bytes}; the folder is made where it is not there.

    document: {"figures", "keypoints", "run", ...} as evaluate_coco_pose.py writes it; pictures: {image id: path};
    comparisons: {image id: evaluation.keypoint_errors.Comparison}.
    """
    folder = Path(folder)
    sheets = {
        name: make_sheet([(pictures[number], comparisons[number]) for number in numbers])
        for name, numbers in zip(SHEETS, extremes(comparisons, N_PICTURES), strict=True)
        if numbers
    }
    page = make_page(document, sheets)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"--report {folder}: cannot be made ({error.strerror}); choose another name") from None
    return {folder / name: data for name, data in {**sheets, CHART: make_chart(document["keypoints"]), PAGE: page.encode()}.items()}


def describe(document) -> str:
    """Two lines: what was run, and how long it took."""
    run = document["run"]
    scales = "one scale" if run["scales"] == [1] else f"scales {', '.join(f'{value:g}' for value in run['scales'])}"
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


def make_page(document, sheets) -> str:
    """HTML with relative links only."""
    run, figures = document["run"], document["figures"]
    head = f"{run['arch']} on {run['split']}"
    rows = [[first, *(_number(figures[first + end]) for end in ("", "50", "75", "m", "l"))] for first in ("AP", "AR")]
    parts = [
        f"<h1>{escape(head)}: AP {_number(figures['AP'])}</h1>",
        f"<pre>{escape(describe(document))}</pre>",
        _table(["OKS", "0.50:0.95", "0.50", "0.75", "medium", "large"], rows),
        "<h2>What became of the labelled keypoints</h2>",
        "<p>Good: similarity to the label of 0.5 or more; near: 0.1 to 0.5; far: below; missing: the person was found without it; "
        "unfound: no detection is like the person (OKS below 0.1). Distance: the mean, per square root of the person's area.</p>",
        _picture(CHART, "Bars of the shares of each keypoint"),
        _table(list(document["keypoints"][0]), [[_number(value) for value in row.values()] for row in document["keypoints"]]),
    ]
    for name in sheets:
        parts += [f"<h2>{SHEETS[name]}</h2>", "<p>By the mean OKS over the labelled people. Left: labelled, with each one's OKS; right: found.</p>"]
        parts.append(_picture(name, SHEETS[name]))
    body = "\n".join(parts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n{MARK}\n<title>{escape(head)}</title>\n'
        f"<style>\n{STYLE}\n</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _number(value) -> str:
    return "-" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def _table(head, rows) -> str:
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _picture(name, alt) -> str:
    return f'<p><a href="{name}"><img src="{name}" alt="{escape(alt)}"></a></p>'


def make_chart(rows) -> bytes:
    """A PNG: the shares of evaluation.keypoint_errors.keypoint_errors as one bar for each keypoint."""
    figure, axes = _figure(10, 6)
    left = np.zeros(len(rows))
    for kind, color in zip(KINDS, KIND_COLORS, strict=True):
        shares = np.array([row[kind] or 0 for row in rows])
        axes.barh(range(len(rows)), shares, left=left, color=color, label=kind)
        left += shares
    axes.set_yticks(range(len(rows)), [f"{row['name']} ({row['labelled']})" for row in rows])
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.set_xlabel("share of the labelled keypoints")
    axes.legend(ncols=len(KINDS), loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return _png(figure)


def make_sheet(pairs) -> bytes:
    """A PNG of pictures, each with the labelled people on the left and the detections on the right. pairs: (path, Comparison).

    Necks are drawn at the midpoint of the shoulders, for COCO has none.
    """
    n_rows = -(-len(pairs) // COLUMNS)
    figure, grid = _figure(19, 3 * n_rows, n_rows, COLUMNS)
    for axes in np.ravel(grid):
        axes.axis("off")
    for axes, (path, comparison) in zip(np.ravel(grid), pairs, strict=False):
        tile, scale = make_tile(read_image(path, turn=False), comparison)
        axes.imshow(cv2.cvtColor(tile, cv2.COLOR_BGR2RGB))
        n_found = int((comparison.match >= 0).sum())
        axes.set_title(f"{Path(path).name}: OKS {comparison.mean_oks:.2f}, {n_found} of {len(comparison.oks)} found", fontsize=11)
        for keypoints, oks in zip(comparison.truth, comparison.oks, strict=True):
            x, y = np.maximum(keypoints[keypoints[:, 2] > 0, :2].min(0) * scale, (2, 22))  # the text is inside the picture
            axes.text(x, y, f"{oks:.2f}", fontsize=8, color="white", va="bottom", bbox={"color": "black", "pad": 1, "alpha": 0.6})
        for share, name in ((0, "labelled"), (0.5, "found")):
            axes.text(share, 0, name, transform=axes.transAxes, fontsize=9, va="top")
    return _png(figure)


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


def _figure(width, height, n_rows=1, n_columns=1):
    """A figure of matplotlib without a screen, and its axes. width, height: inches of 100 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots(n_rows, n_columns)


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
