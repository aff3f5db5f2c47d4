"""Several videos, one after another, or shared out among processes (streams.shared): each as if it were alone, with files of its own.

What is named for results are folders: NAME.jsonl, NAME.csv, NAME.json (COCO), NAME.mp4 and NAME/ (OpenPose's files) are in them, where NAME is the
video's. A video's files appear together, when it is done; --resume goes on with the videos that lack one.
"""

import os
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

from errors import InputError
from files import STDOUT, check_folder, make_folder, real_place
from keypoints.track import Tracker
from parts import clear_once, part_folder
from streams import ffmpeg, outputs, records
from streams.frames import open_video
from streams.loop import new_counts, progress_bar, work
from streams.selection import chosen
from streams.summary import report_failures, report_left_out, say_done
from streams.threads import opencv_on_one_thread
from streams.together import asked_of_all, say_ended
from streams.video import CODECS, check_video_path, note_on
from streams.wanted import FOLDERS, OUTPUTS, check_detector

ENDINGS = {"jsonl": ".jsonl", "csv": ".csv", "coco_results": ".json", "openpose_json": ""}  # of a video's results
USUAL = ".mp4"  # drawn, where a video's own container cannot be written


def check_videos(wanted, videos):
    """Raise InputError where the results of several videos (streams.frames.Videos) cannot go where they are to."""
    several = f"--input names {len(videos)} video{'s' if len(videos) > 1 else ''}, each with results of its own"
    if wanted.show:
        raise InputError(f"--show is for one video, and {several}; name one, or leave --show out")
    if wanted.json:
        raise InputError("--json is for one picture; --jsonl writes a line for each frame")
    for name in OUTPUTS:
        path = getattr(wanted, name)
        if path is None:
            continue
        is_file = path == STDOUT or (Path(path).suffix and not str(path).endswith("/") and not os.path.isdir(path))  # noqa: PTH112
        if is_file and name not in FOLDERS:
            raise InputError(f"--{name} {path}: {several}; name a folder for them")
        check_folder(path, f"--{name}")
    read = set(map(real_place, videos.paths))
    for path, stem in zip(videos.paths, videos.stems, strict=True) if wanted.out is not None else ():
        drawn = places_of(wanted, path, stem)["out"]
        if real_place(drawn) in read:
            raise InputError(f"--out {wanted.out}: {drawn} would overwrite a video of --input; choose another folder")
    if wanted.codec is not None:
        for suffix in sorted({places_of(wanted, path, "x")["out"].suffix for path in videos.paths}):
            check_video_path(Path(wanted.out) / f"x{suffix}", wanted.codec)


def places_of(wanted, path, stem) -> dict:
    """{field of Wanted: where a video's results go}."""
    suffix = Path(path).suffix.lower()
    endings = ENDINGS | {"out": suffix if suffix in CODECS else USUAL}
    return {name: Path(getattr(wanted, name)) / f"{stem}{ending}" for name, ending in endings.items() if getattr(wanted, name) is not None}


@opencv_on_one_thread()
def work_on_videos(videos, wanted, choice, mates, detector) -> int:
    """As streams.pipeline.work_on_frames, for videos one after another; with mates (streams.shared.Crew) each video by one of them."""
    check_detector(wanted, detector)
    counts, begin, skipped, last = new_counts() | {"done": 0, "videos": 0}, time.perf_counter(), 0, None
    n_processes = 1 if mates is None else mates.count

    def list_numbers() -> list:
        nonlocal skipped
        records.check_same_run(wanted, detector)
        records.remember_run(wanted, detector)
        for line in notes(wanted, videos):
            print(f"{wanted.prog}: {line}", file=sys.stderr)
        numbers = [number for number in range(len(videos)) if not (wanted.resume and is_done(number))]
        skipped = len(videos) - len(numbers)
        if mates is not None:
            numbers.sort(key=lambda number: -_size_of(videos.paths[number]))  # the longest first, so that all end together
        return numbers

    def is_done(number) -> bool:
        return all(place.exists() for place in places_of(wanted, videos.paths[number], videos.stems[number]).values())

    def show(totals):
        bar.set_postfix_str(f"{totals['frames']} frames", refresh=False)
        bar.update(skipped + totals["done"] - bar.n)

    def on_frame(_=None):
        if mates is None:
            show(counts)
        else:
            mates.progress(last, **counts)

    def on_signal(lost=()):
        done = skipped + (counts if mates is None else mates.totals)["done"]
        say_ended(wanted, f"{done} of {len(videos)} videos", n_processes, lost, videos.paths)

    try:
        with progress_bar(len(videos), "video", disable=wanted.verbose or (mates is not None and not mates.first)) as bar:
            if mates is not None:
                mates.start(asked_of_all(wanted, videos, detector), list_numbers, show, on_signal)
            for number in list_numbers() if mates is None else mates.tasks():
                work_on_video(videos, number, wanted, choice, detector, counts, bar, on_frame)
                counts["done"], last = counts["done"] + 1, number
                on_frame()
            reports = [videos.failures] if mates is None else mates.finish(videos.failures)
            if reports is None:
                return 0
            totals = counts if mates is None else {"done": 0, "videos": 0} | new_counts() | mates.totals
            show(totals)
    except (KeyboardInterrupt, SystemExit):
        if mates is None:
            on_signal()
        raise
    places = {str(path): number for number, path in enumerate(videos.paths)}
    videos.failures = sorted((failure for each in reports for failure in each), key=lambda failure: places[failure[0]])
    if totals["videos"] or skipped:
        say_done(videos, totals | {"skipped": skipped}, wanted, detector, time.perf_counter() - begin, n_processes)
    report_left_out(videos, wanted.prog)
    return report_failures(videos, wanted.prog)


def work_on_video(videos, number, wanted, choice, detector, counts, bar, on_frame):
    """One video. What cannot be read is a failure of the videos; raises InputError for what cannot be written."""
    path, stem = videos.paths[number], videos.stems[number]
    try:
        frames = chosen(open_video(path), choice)
    except InputError as error:
        videos.failures.append((str(path), str(error)))
        return
    with closing(frames), placed_together(places_of(wanted, path, stem)) as names:
        mine = replace(wanted, resume=False, **{name: str(place) for name, place in names.items()})
        tracker = Tracker(wanted.smooth) if wanted.track or wanted.smooth else None
        with ExitStack() as stack:
            opened = outputs.open_sinks(mine, frames, detector)
            for sink in opened:
                stack.enter_context(closing(sink))
            work(frames, detector, opened, counts, mine, bar, on_frame, tracker, among=True)
    counts["videos"] += 1
    if tracker is not None:
        counts["identities"] = counts.get("identities", 0) + tracker.n_numbers
    videos.failures += [(str(path), f"{name}: {why}") for name, why in frames.failures]


@contextmanager
def placed_together(places):
    """`with placed_together({name: path}) as names:` write to names[name]; at the end all go to their places, after an error none."""
    with ExitStack() as stack:
        names = {}
        for name, place in places.items():
            make_folder(place.parent)
            clear_once(place.parent)
            names[name] = stack.enter_context(part_folder(place)) / place.name
        yield names
        for name, place in places.items():
            _move(names[name], place)


def _move(path, place):
    """A file, or a folder, whose files go into one that is there. Beside --csv lies what only an unfinished table needs, and stays behind."""
    try:
        if path.is_dir() and place.is_dir():
            for file in path.iterdir():
                _move(file, place / file.name)
        elif path.exists():  # no video is written where there was no frame
            path.replace(place)
    except OSError as error:
        raise InputError(f"{place}: cannot be written ({error.strerror or error}); choose another place") from None


def notes(wanted, videos) -> list:
    """What to say on stderr before the work begins."""
    if wanted.out is None:
        return []
    drawn = {places_of(wanted, path, "*")["out"] for path in videos.paths}
    found = [note for note in (note_on(path, wanted.codec) for path in sorted(drawn)) if note]
    if not ffmpeg.program():
        found.append("sound is left out, for the program ffmpeg is not on this machine")
    return found


def _size_of(path) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0
