"""The charts of an evaluation, as PNG."""

import io

import numpy as np

from evaluation.keypoint_errors import KINDS

KIND_COLORS = ("#1b7837", "#7fbf7b", "#e08214", "#b2abd2", "#bbbbbb")


def keypoint_chart(rows) -> bytes:
    """The shares of evaluation.keypoint_errors.keypoint_errors as one bar for each keypoint."""
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


def precision_chart(curves) -> bytes:
    """Precision over recall. curves: evaluation.coco_ap.Result.curves."""
    figure, axes = _figure(7, 5)
    for oks, precision in curves["precision"].items():
        axes.plot(curves["recall"], precision, label=f"OKS {oks}: AP {np.mean(precision):.3f}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="recall: share of the labelled people who were found", ylabel="precision: share of right detections")
    axes.grid(alpha=0.3)
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    return _png(figure)


def _figure(width, height):
    """A figure of matplotlib without a screen, and its axes. width, height: inches of 100 pixels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.subplots()


def _png(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
