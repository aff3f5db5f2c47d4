"""The loop: frames through a detector, into the sinks."""

import sys
import time
from collections import deque
from contextlib import closing

from keypoints.draw import BACKGROUNDS, draw_heatmaps, draw_people, number_and_rank, number_of
from keypoints.whole import best_of, enlarged
from streams.frames import DEFAULT_RATE, Pictures
from streams.threads import read_ahead, undivided


def new_counts() -> dict:
    """How many there were; `work` keeps them up to date."""
    return dict.fromkeys(("frames", "people", "skipped"), 0)


def progress_bar(total, unit, **options):
    """tqdm's. It waits a second, so that what goes wrong at once is one line."""
    from tqdm import tqdm  # takes 30 ms, which one picture need not wait for

    return tqdm(total=total, unit=unit, delay=1, mininterval=0.5 if sys.stderr.isatty() else 30, **options)


def unit_of(source) -> str:
    return "frame" if source.is_video else "picture"


def work(source, detector, opened, counts, wanted, bar, on_frame, tracker=None, window=None, among=False):
    """Write what is found in the frames of a source into the sinks `opened`. on_frame: is called with each frame that is done. bar: lines are said
    beside it.

    among: the source is one of several videos.
    """

    def skip(frame):
        done = bool(opened) and all(sink.has(frame) for sink in opened)
        counts["skipped"] += done
        return done

    with closing(detect_frames(source, detector, skip)) as answers:
        begin = time.perf_counter()
        for frame, found in answers:
            persons = counted(wanted, detector.persons(found))
            if frame.full_wh is not None:
                persons = [enlarged(person, frame.reduction) for person in persons]
            if tracker is not None:
                persons = tracker.update(persons, frame.number / DEFAULT_RATE if frame.seconds is None else frame.seconds)
            drawn = draw_wanted(wanted, detector, frame.image, persons) if wanted.draws else None
            with undivided():  # all files have the frame, or none
                for sink in opened:
                    if not sink.has(frame):
                        sink.write(frame, persons, drawn)
                counts["frames"] += 1
                counts["people"] += len(persons)
            if wanted.verbose:
                end = time.perf_counter()
                lines = [f"{detector.describe(persons)}, {1000 * (end - begin):.0f} ms", *skipped_lines(persons)]
                say_frame(bar, frame, lines, sys.stderr if wanted.to_stdout else sys.stdout, among)
                begin = end
            on_frame(frame)
            if window is not None and not window.show(frame, drawn):
                break


def detect_frames(source, detector, skip):
    """Yield (Frame, what the detector found), in order. From a camera each frame is done before the next one is taken; otherwise they overlap."""
    if source.live:
        for frame in source.frames(skip):
            yield frame, detector.detect(frame.image)
        return
    waiting = deque()

    def images():
        for frame in source.frames(skip):
            waiting.append(frame)
            yield frame.image

    # Closed here: a signal that comes while Python collects a generator would be lost.
    with closing(detector.stream(images(), read_ahead)) as answers:
        for _, found in answers:
            yield waiting.popleft(), found


def read_reduced(source, wanted, detector):
    """Let large pictures be read at a part of their size where that is enough: what is drawn on is wanted in full."""
    if isinstance(source, Pictures) and not wanted.draws:
        source.least = detector.least_side


def counted(wanted, persons) -> list:
    """Those of the persons that --threshold and --max_people let through."""
    return best_of(persons, wanted.threshold, wanted.max_people) if wanted.threshold > 0 or wanted.max_people is not None else persons


def draw_wanted(wanted, detector, image, persons):
    """A picture of the persons whom the detector has just found in the image."""
    canvas = image if wanted.background == "photo" else BACKGROUNDS[wanted.background](image)  # what draws on it copies it
    if wanted.heatmaps:
        canvas = draw_heatmaps(canvas, detector.heatmaps, detector.covered_wh)
    return draw_people(canvas, persons, number_and_rank if wanted.labels else number_of)


def skipped_lines(persons) -> list:
    """Which faces and hands were not looked for, and why."""
    return [f"person {i}: {name.replace('_', ' ')} skipped: {why}" for i, person in enumerate(persons) for name, why in person.skipped.items()]


def say_frame(bar, frame, lines, stream, among=False):
    """Lines about a picture or a frame, beside the bar, on stdout or stderr. among: as in `work`."""
    parts = [*([frame.name] if frame.seconds is None or among else []), *([] if frame.seconds is None else [f"frame {frame.number}"])]
    shown = not bar.disable and bar.last_print_t >= bar.start_t + bar.delay  # otherwise tqdm would draw it, and leave it there
    for line in lines:
        (bar.write if shown else print)(f"{', '.join(parts)}: {line}", file=stream)
