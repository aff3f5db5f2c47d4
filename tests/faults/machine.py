"""A machine that fails: little memory, signals at any moment, closed streams, no home, full disks. Every script works, or ends in one line, soon.

python tests/faults/machine.py --seed 1 --minutes 10
python tests/faults/machine.py --seed 1 --kind memory home --command folder --first 3 --cases 1     a case again
python tests/faults/machine.py --sweep 300 1200 50          every script at every one of these limits, MB
"""

import argparse
import itertools
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import cv2  # noqa: E402
import numpy as np  # noqa: E402
from coco_files import make_coco  # noqa: E402

PERSON, PEOPLE = str(ROOT / "data" / "person.png"), str(ROOT / "data" / "people.png")
SMALL_TRAINING = ("--arch", "lightposenet", "--insize", "64", "--batchsize", "2", "--val_samples", "2", "--interval", "2", "--val_interval", "2")
COMMANDS = {  # words; IN/ is what make_input makes, files are written into the current folder
    "picture": ("pose_detector.py", "lightposenet", "--img", PERSON, "--out", "r.png", "--json", "r.json"),
    "folder": ("pose_detector.py", "lightposenet", "--input", "IN/pictures", "--jsonl", "r.jsonl", "--csv", "r.csv", "--out", "drawn"),
    "video": ("pose_detector.py", "lightposenet", "--input", "IN/v.avi", "--out", "v.mp4", "--jsonl", "r.jsonl"),
    "tracking": ("pose_detector.py", "lightposenet", "--input", "IN/v.avi", "--track", "--csv", "r.csv"),
    "Chainer": ("pose_detector.py", "lightposenet", "--img", PERSON, "--engine", "chainer", "--out", "r.png"),
    "four scales": ("pose_detector.py", "lightposenet", "--img", PERSON, "--precise", "--out", "r.png"),
    "demo": ("demo.py", "--img", PEOPLE, "--out", "r.png"),
    "demo, folder": ("demo.py", "--input", "IN/pictures", "--openpose_json", "op", "--coco_results", "r.json"),
    "face": ("face_detector.py", "--img", str(ROOT / "data" / "face.png"), "--out", "r.png"),
    "hand": ("hand_detector.py", "--img", PERSON, "--out", "r.png"),
    "camera": ("camera_pose_demo.py", "--input", "IN/v.avi", "--out", "c.mp4"),
    "conversion": ("convert_model.py", "lightposenet", str(ROOT / "models" / "light_posenet.npz"), "light.xml"),
    "onnx": ("convert_model.py", "lightposenet", str(ROOT / "models" / "light_posenet.npz"), "light.onnx"),
    "int8": (
        *("convert_model.py", "lightposenet", str(ROOT / "models" / "light_posenet.npz"), "light.xml"),
        *("--data_type", "INT8", "--calibration", "IN/pictures", "--max_pictures", "3"),
    ),
    "IR": ("IEbase.py", "--xml", str(ROOT / "models" / "light_posenet_int8.xml")),
    "engines": ("pose_detectorIEbase.py", "lightposenet", "--img", PERSON, "--out", "r.png"),
    "training": ("train_coco_pose_estimation.py", "--coco_dir", "IN/coco", *SMALL_TRAINING, "--iteration", "3", "--loaderjob", "0"),
    "training, processes": ("train_coco_pose_estimation.py", "--coco_dir", "IN/coco", *SMALL_TRAINING, "--iteration", "3", "--loaderjob", "2"),
    "evaluation": ("evaluate_coco_pose.py", "lightposenet", "--coco_dir", "IN/coco", "--out", "r.json", "--report", "report"),
    "masks": ("gen_ignore_mask.py", "--coco_dir", "IN/coco", "--vis", "--out", "views"),
    "samples": ("coco_data_loader.py", "--coco_dir", "IN/coco", "--insize", "64", "--number", "4", "--out", "s.png"),
    "log": ("plot_train_log.py", "IN/log"),
    "benchmark": ("benchmark.py", "--arch", "lightposenet", "--size", "64", "--repeats", "1", "--video", "IN/v.avi"),
    "page": ("web_demo.py", "--port", "0"),
}
ENDLESS = ("page",)  # works until it is stopped
LONGEST = 240  # seconds
SOON = 2.0  # seconds from a signal to the end, where the machine has time
RESULTS = ("--out", "--json", "--jsonl", "--csv", "--openpose_json", "--coco_results", "--report")
SIGNALS = {"interrupt": (signal.SIGINT, (130, -2)), "terminate": (signal.SIGTERM, (143, -15)), "hang up": (signal.SIGHUP, (129, 143, -1))}
KINDS = ("memory", "closed", "home", "disk", "temporary", *SIGNALS)


def make_input(folder):
    (folder / "pictures").mkdir()
    image = cv2.resize(cv2.imread(PEOPLE), (320, 240), interpolation=cv2.INTER_AREA)
    for number in range(6):
        cv2.imwrite(str(folder / "pictures" / f"{number}.png"), np.roll(image, 10 * number, axis=1))
    writer = cv2.VideoWriter(str(folder / "v.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
    for number in range(20):
        writer.write(np.roll(image, 5 * number, axis=1))
    writer.release()
    make_coco(make_coco(folder / "coco"), "val")
    (folder / "log").write_text('[{"iteration": 1, "main/loss": 0.5}, {"iteration": 2, "main/loss": 0.4}]')


def run(name, place, folder, before=None, stop=None, closed="", environment=()):
    """(exit status, stdout, stderr, seconds from the beginning, or from the signal) of a command. stop: (signal, after seconds).
    closed: standard streams that are, of "012".
    """
    command = [word.replace("IN/", f"{place}/") for word in COMMANDS[name]]

    def prepare():
        for number, _ in SIGNALS.values():
            signal.signal(number, signal.SIG_DFL)
        if before is not None:
            before()

    words = [sys.executable, str(ROOT / command[0]), *command[1:]]
    if closed:
        words = ["bash", "-c", 'exec "$@" ' + " ".join(f"{number}>&-" for number in closed), "bash", *words]
    values = {key: value for key, value in {**os.environ, **dict(environment)}.items() if value is not None}
    process = subprocess.Popen(
        words, cwd=folder, env=values, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare
    )
    begin = time.monotonic()
    if stop is None and name in ENDLESS:
        stop = signal.SIGINT, 30
    try:
        if stop is not None:
            try:
                process.wait(stop[1])
            except subprocess.TimeoutExpired:
                begin = time.monotonic()
                process.send_signal(stop[0])
        out, errors = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        return "hangs", out, errors, LONGEST
    return process.returncode, out, errors, time.monotonic() - begin


def limited(megabytes):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


@contextmanager
def small_disk(folder, kilobytes):
    """`with small_disk(folder, 100):` it lies on a disk of its own, of this size. Needs root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def missing(name, folder):
    """The results that a command names, and that are not in the folder it worked in."""
    _, *words = COMMANDS[name]
    named = [word for option, word in itertools.pairwise(words) if option in RESULTS]
    named += [word for word in words if word in ("light.xml", "light.onnx")]
    return [word for word in named if not (folder / word).exists() or not ((folder / word).is_dir() or (folder / word).stat().st_size)]


def fault_of(kind, name, status, errors, seconds, expected, soon=SOON):
    """What is wrong with the end of a run; None if nothing is."""
    if kind == "interrupt" and "init_import_site" in errors:  # Python itself was starting
        return None
    lines = [line for line in errors.replace("\r", "\n").splitlines() if line.strip() and "%|" not in line and "0it [" not in line]
    if "Traceback" in errors or "terminate called" in errors:
        return "a traceback"
    if status == "hangs":
        return "a hang"
    if kind in SIGNALS and seconds > soon:
        return f"{seconds:.1f} s from the signal to the end"
    if status == 0 or (name in ENDLESS and status == 130):
        return None
    if status not in expected:
        return f"status {status}"
    if kind != "closed" and status == 2 and not lines:
        return "silence"
    return None if len(lines) <= (2 if kind in SIGNALS else 1) else f"{len(lines)} lines"


def one_case(kind, name, place, rng, megabytes=None, soon=SOON):
    """(what was tried, status, stderr, seconds, the fault or None)."""
    with tempfile.TemporaryDirectory(prefix="machine_") as folder, ExitStack() as stack:
        work, tmp = Path(folder, "work"), Path(folder, "tmp")
        work.mkdir(), tmp.mkdir()
        how, expected, environment, words = {}, (), {"TMPDIR": str(tmp)}, ""
        if kind == "memory":
            megabytes = megabytes or rng.randint(300, 1200)
            how, expected, words = {"before": limited(megabytes)}, (2,), f"{megabytes} MB"
        elif kind == "closed":
            closed = rng.choice(("1", "2", "12", "012", "0"))
            how, words = {"closed": closed}, closed
        elif kind == "home":
            words, changes = rng.choice(
                (
                    ("no HOME", {"HOME": None, "XDG_CACHE_HOME": None}),
                    ("HOME is a file", {"HOME": "/etc/passwd", "XDG_CACHE_HOME": None}),
                    ("HOME is nowhere", {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": None}),
                    ("the cache's name is no UTF-8", {"XDG_CACHE_HOME": os.fsdecode(b"/tmp/\xff\xfe")}),
                    ("no user", {"USER": None, "LOGNAME": None, "HOME": None}),
                    ("the cache is on a full disk", {"XDG_CACHE_HOME": str(Path(folder, "cache"))}),
                )
            )
            environment |= changes
            if "full" in words:
                Path(folder, "cache").mkdir()
                stack.enter_context(small_disk(Path(folder, "cache"), 40))
        elif kind in ("disk", "temporary"):
            size = rng.choice((4, 20, 60, 200, 600))
            stack.enter_context(small_disk(work if kind == "disk" else tmp, size))
            expected, words = (2,), f"{size} kB"
        else:
            number, expected = SIGNALS[kind]
            seconds = rng.uniform(0.05, 12 if name in ENDLESS else rng.choice((2, 5, 9)))
            how, words = {"stop": (number, seconds)}, f"after {seconds:.2f} s"
        status, _, errors, seconds = run(name, place, work, environment=environment, **how)
        fault = fault_of(kind, name, status, errors, seconds, expected, soon)
        left = [path.name for path in (*work.rglob(".*.part*"), *tmp.iterdir())]
        if fault is None and left:
            fault = f"left {left}"
        if fault is None and status == 0 and kind not in SIGNALS and (lost := missing(name, work)):
            fault = f"status 0 without {lost}"
    return words, status, errors, seconds, fault


def drawn(options):
    """(kind, command, MB or None) of one case after the other: every kind with every command once, in any order, and again."""
    if options.sweep:
        least, most, step = options.sweep
        yield from (("memory", name, megabytes) for name in options.command for megabytes in range(least, most + 1, step))
        return
    rng = random.Random(options.seed)
    for _ in range(100):
        pairs = list(itertools.product(options.kind, options.command, [None]))
        rng.shuffle(pairs)
        yield from pairs


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--first", type=int, default=0, help="number of the first case; the same seed, kinds and commands give the same cases")
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--kind", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--command", nargs="+", choices=tuple(COMMANDS), default=list(COMMANDS))
    parser.add_argument("--soon", type=float, default=SOON, help="seconds from a signal to the end (default: %(default)s); more on a busy machine")
    parser.add_argument("--sweep", nargs=3, type=int, metavar=("LEAST", "MOST", "STEP"))
    options = parser.parse_args()
    end, counts, slowest = time.monotonic() + 60 * options.minutes, {}, {}
    cases = list(itertools.islice(drawn(options), options.first, options.first + options.cases))
    with tempfile.TemporaryDirectory(prefix="machine_in_") as place:
        make_input(Path(place))
        for number, (kind, name, megabytes) in enumerate(cases, options.first):
            if time.monotonic() > end:
                break
            words, status, errors, seconds, fault = one_case(kind, name, place, random.Random(f"{options.seed} {number}"), megabytes, options.soon)
            count = counts.setdefault(kind, [0, 0])
            count[0] += 1
            if sum(n for n, _ in counts.values()) % 50 == 0:
                print(f"... {counts}", flush=True)
            if kind in SIGNALS:
                slowest[kind] = max(slowest.get(kind, 0), seconds)
            if fault is not None:
                count[1] += 1
                print(f"{number}: {kind}, {words}, {name}: {fault}; status {status}, {seconds:.1f} s\n{errors[-600:]}", flush=True)
    for kind, (n_cases, n_faults) in counts.items():
        print(f"{kind}: {n_cases} cases, {n_faults} faults" + (f"; to the end at most {slowest[kind]:.1f} s" if kind in slowest else ""))
    return 1 if any(n_faults for _, n_faults in counts.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
