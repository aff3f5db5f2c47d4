"""Whole runs as a user starts them: from the shell to the written result, with their memory and how busy the cores were."""

from pathlib import Path

import cv2

from errors import InputError
from speed.clock import run_script, summary
from speed.rows import Row
from streams.frames import Video, find_pictures

ROOT = Path(__file__).parent.parent
NETWORK = "OpenVINO, lightposenet"


def row_of(stage, engine, runs, parts=1, unit="") -> Row:
    """Of several Runs of one command. parts: frames or pictures; the time is for one of them."""
    timing, seconds = summary([run.seconds / parts for run in runs]), sorted(run.seconds for run in runs)[len(runs) // 2]
    cores, megabytes = max(run.cores for run in runs), max(run.megabytes for run in runs)
    rate = f"{seconds:.1f} s, {parts / seconds:.0f} {unit}/s, " if parts > 1 else ""
    facts = {"seconds": [run.seconds for run in runs], "cores": cores, "megabytes": megabytes, "parts": parts}
    return Row("run", f"{stage} ({rate}{cores:.1f} cores busy, {megabytes:.0f} MB)", engine, *timing, None, facts)


def start_rows(picture, folder, repeats) -> list:
    """From the shell: --help, and one picture with the networks already in OpenVINO's cache."""
    script, out = ROOT / "pose_detector.py", Path(folder) / "out.png"
    commands = {"--help": ("--help",), "one picture": ("lightposenet", "--img", picture, "--out", out)}
    runs = {name: [run_script(script, *options) for _ in range(1 + repeats)][1:] for name, options in commands.items()}
    return [row_of(f"from the shell: {name}", NETWORK if name == "one picture" else "", each) for name, each in runs.items()]


def folder_rows(photos, folder, repeats) -> list:
    """A folder of photos to JSONL."""
    count, out = len(find_pictures(photos, None)), Path(folder) / "out.jsonl"
    runs = [run_script(ROOT / "pose_detector.py", "lightposenet", "--input", photos, "--jsonl", out) for _ in range(repeats)]
    return [row_of(f"folder of {count} photos to JSONL", NETWORK, runs, count, "photos")]


def video_rows(video, folder, repeats) -> list:
    """A video in its own size, short side of the network 256: tracked, smoothed, drawn, written as .mp4; and with faces and hands."""
    out, options = Path(folder) / "out.mp4", ("lightposenet", "--input", video, "--short_side", "256", "--smooth")
    rows = []
    for script, stage, networks in (
        ("pose_detector.py", "start to end with tracking, drawing and .mp4", NETWORK),
        ("demo.py", "the same with faces and hands", f"{NETWORK}, lightfacenet, lighthandnet"),
    ):
        runs = [run_script(ROOT / script, *options, "--out", out) for _ in range(repeats)]
        n_frames = int(cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT))
        rows.append(row_of(f"video, {n_frames} frames, {stage}", f"{networks}, short side 256", runs, n_frames, "frames"))
    return rows


def check_video(video):
    """Raise InputError for what is no video of some frames."""
    source = Video(video)
    try:
        if sum(1 for _ in zip(range(2), source.frames(), strict=False)) < 2:
            raise InputError(f"--video {video}: expected a video of some frames, got one")
    finally:
        source.close()
