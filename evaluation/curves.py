"""The log of a training run, and its curves as a picture."""

import json

from errors import InputError
from files import atomic_file, read_bytes

PLOTS = (("loss", ("main/loss", "val/loss")), ("PAFs", ("main/paf", "val/paf")), ("heatmaps", ("main/heat", "val/heat")), ("AP", ("AP",)))
MOST_ITERATIONS = 10**12
MOST = 1e300  # of a value in a log
LABELS = {"main": "training", "val": "validation", "AP": "AP"}


def read_log(path) -> list:
    """A LogReport's entries, a dictionary each with "iteration". Raises InputError."""
    try:
        log = json.loads(read_bytes(path, "log"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"log {path}: expected the JSON file `log` of a training run, got something else; name OUT/log") from None
    check_log(log, f"log {path}:")
    if not any(is_number(entry.get(key)) for entry in log for _, keys in PLOTS for key in keys):
        raise InputError(f"log {path}: nothing is in it yet; wait for the run's first entry (--log_interval)")
    return log


def check_log(log, place):
    """Raise InputError, beginning with `place`, if something out of a JSON file is no list of a LogReport's entries."""
    if not isinstance(log, list) or not all(isinstance(entry, dict) and _is_count(entry.get("iteration")) for entry in log):
        raise InputError(f"{place} expected a list of entries with an iteration each, got other JSON; name the file `log` of a training run")


def _is_count(value) -> bool:
    return type(value) is int and 0 <= value <= MOST_ITERATIONS


def is_number(value) -> bool:
    """Whether it can be drawn: null, text, NaN and what a broken file holds cannot."""
    return isinstance(value, int | float) and abs(value) <= MOST


def plot_log(logs, path):
    """Draw the curves of runs into a picture. logs: {name: entries of read_log}; path: of a .png, .pdf or .svg."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    def has_any(keys):
        return any(is_number(entry.get(key)) for entries in logs.values() for entry in entries for key in keys)

    plots = [(title, keys) for title, keys in PLOTS if has_any(keys)]
    figure = Figure(figsize=(5 * max(1, len(plots)), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (title, keys) in enumerate(plots, 1):
        axes = figure.add_subplot(1, len(plots), number, title=title, xlabel="iteration")
        for name, entries in logs.items():
            for key in keys:
                points = sorted((entry["iteration"], float(entry[key])) for entry in entries if is_number(entry.get(key)))  # quick to draw
                if points:
                    label = LABELS[key.split("/")[0]] if len(logs) == 1 else f"{name}, {LABELS[key.split('/')[0]]}"
                    axes.plot(*zip(*points, strict=True), marker="o" if len(points) < 30 else None, label=label)
        axes.grid(alpha=0.3)
        axes.margins(0.1)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15), frameon=False)  # below: it hides no point
    with atomic_file(path, path.suffix) as part:
        figure.savefig(part, dpi=100)
