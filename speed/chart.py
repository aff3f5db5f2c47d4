"""A picture of where the time goes: the stages of one picture, and the networks by engine."""

from io import BytesIO

from files import atomic_file
from speed.stages import STAGES


def write_chart(path, rows, machine):
    """Write a .png or .svg of the rows (speed.rows.Row) that benchmark.py has measured."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "benchmark"  # the same figures make the same file
    networks = [row for row in rows if row.part == "network"]
    names = list(dict.fromkeys(row.facts["arch"] for row in networks))
    figure = Figure(figsize=(10, 2.2 + 0.32 * len(networks)), layout="constrained")
    top, *below = figure.subplots(1 + len(names), 1, height_ratios=[2, *(1 + sum(row.facts["arch"] == name for row in networks) for name in names)])
    _draw_stages(top, {row.stage.split(" (")[0]: row.ms for row in rows if row.part == "picture"})
    for axes, name in zip(below, names, strict=True):
        _draw_engines(axes, [row for row in networks if row.facts["arch"] == name])
    figure.supxlabel(machine, fontsize=6)
    data = BytesIO()
    figure.savefig(data, format=path.suffix.lstrip("."), dpi=110)
    with atomic_file(path) as part:
        part.write_bytes(data.getvalue())


def _draw_stages(axes, times):
    left = 0.0
    for stage in STAGES:
        axes.barh(0, times[stage], left=left, label=f"{stage} {times[stage]:.1f}")
        left += times[stage]
    axes.set(title=f"one picture, ms: {left:.1f} in all", yticks=[], xlim=(0, left))
    axes.legend(ncols=len(STAGES) // 2, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False)


def _draw_engines(axes, rows):
    rows = sorted(rows, key=lambda row: row.ms, reverse=True)
    ours = [row.engine.startswith(("OpenVINO", "Chainer")) for row in rows]
    bars = axes.barh([row.engine for row in rows], [row.ms for row in rows], color=["tab:blue" if each else "tab:gray" for each in ours])
    axes.bar_label(bars, [f"{row.ms:.1f}" for row in rows], padding=3, fontsize=7)
    axes.set(title=f"{rows[0].stage}, ms", xlim=(0, 1.1 * rows[0].ms))
    axes.tick_params(labelsize=7)
