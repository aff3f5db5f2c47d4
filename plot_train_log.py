"""Draw the curves of a training run: losses of training and validation, and AP where it was measured.

python plot_train_log.py result/log
python plot_train_log.py result/log other/log --out curves.png
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from pathlib import Path

import cli
from errors import InputError
from evaluation.curves import is_number, plot_log, read_log
from files import check_path, is_same_file

FORMATS = (".png", ".pdf", ".svg", ".jpg")


def parser():
    p = cli.Parser(prog="plot_train_log.py", description=__doc__)
    p.add_argument("logs", nargs="+", metavar="LOG", help="The file `log` of a training run, or its folder; several are drawn together.")
    p.add_argument("--out", metavar="PICTURE", help=f"Draw into this file, {', '.join(FORMATS)} (default: loss.png beside the first log).")
    return p


def plot(options):
    paths = [Path(name) / "log" if Path(name).is_dir() else Path(name) for name in options.logs]
    out = Path(options.out) if options.out else paths[0].with_name("loss.png")
    if out.suffix.lower() not in FORMATS:
        raise InputError(f"--out {out}: expected a picture's name ({', '.join(FORMATS)}), got {out.suffix or 'no extension'!r}")
    if any(is_same_file(out, path) for path in paths):
        raise InputError(f"--out {out}: this is the log itself; choose another name")
    logs = {str(path): read_log(path) for path in paths}
    check_path(out, "--out")
    plot_log(logs, out)
    last = next(iter(logs.values()))[-1]
    figures = ", ".join(f"{key} {value:.5g}" for key, value in last.items() if key in ("main/loss", "val/loss", "AP") and is_number(value))
    n_entries = sum(map(len, logs.values()))
    print(f"{out}: {n_entries} {'entry' if n_entries == 1 else 'entries'}; iteration {last['iteration']}{f': {figures}' if figures else ''}")


def main(argv=None) -> int:
    return cli.run(parser(), plot, argv)


if __name__ == "__main__":
    sys.exit(main())
