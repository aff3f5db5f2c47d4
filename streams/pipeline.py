"""From a source to its results: pictures, folders, videos and cameras through a detector, one after another.

    with prepare(Source(names=["photos"]), Wanted(jsonl="poses.jsonl")) as work:  # whatever can be checked is checked here
        status = work(PoseDetector(open_net("lightposenet")))

A detector has detect(image) -> found, stream(images, ahead) -> (image, found) in order, persons(found) -> list of keypoints.whole.WholePerson,
describe(persons) -> text, `least_side` (pixels of a picture's short side that it makes use of; None: all), `name` (of its network), `networks`
(names of all it runs), `parts` (names of whole.PARTS it looks for), `has_pose`, and of the last picture `seconds` {"network", "decode"} and
`compile_seconds`, with poses also `heatmaps` and `covered_wh`.
"""

import sys
import time
from collections import deque
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from errors import InputError
from files import STDIN, STDOUT, check_url, is_url
from keypoints.draw import BACKGROUNDS, draw_heatmaps, draw_people, number_and_rank, number_of
from keypoints.track import Tracker
from keypoints.whole import best_of, enlarged
from streams import outputs, records, results
from streams.frames import DEFAULT_RATE, Frame, Pictures, Video, is_live, open_frames
from streams.live import Live, open_live
from streams.picture import read_image
from streams.selection import chosen
from streams.threads import opencv_on_one_thread, read_ahead, undivided
from streams.wanted import check, check_detector, check_frames, check_kinds, check_results, is_for_one_picture
from streams.window import KEYS, Window, check_screen, show_picture

MOST_LISTED = 20  # failures


def run(source, wanted, detector) -> int:
    """Work on a source (streams.wanted.Source), write what is wanted (streams.wanted.Wanted). Returns the exit status; raises InputError."""
    with prepare(source, wanted) as work:
        return work(detector)


@contextmanager
def prepare(source, wanted):
    """`with prepare(source, wanted) as work: status = work(detector)`: what can be checked is checked before a network is opened."""
    note = None
    if source.camera is not None:
        wanted, note = with_window(wanted)
    check(wanted, source)
    if source.picture is not None and is_for_one_picture(wanted, source):
        check_results(wanted, source, [source.picture])
        check_kinds(wanted)
        yield partial(work_on_picture, source.picture, read_image(source.picture), wanted)
        return
    with closing(open_source(source, wanted)) as frames:
        check_frames(wanted, source, frames)
        yield partial(work_on_frames, frames, wanted, note)


def with_window(wanted) -> tuple:
    """(wanted with a window where there is a screen, what to say where there is none)."""
    try:
        check_screen("the window", "name --out VIDEO (or --jsonl FILE) to run without one; Ctrl-C ends it")
    except InputError as error:
        if not wanted.named:
            raise
        return wanted, f"{wanted.prog}: {str(error).split(';')[0]}; Ctrl-C ends it"
    return replace(wanted, show=True), None


def open_source(source, wanted):
    """What is named, opened. Raises InputError."""
    for name in filter(is_url, source.names):
        check_url(name, "--input")
    if source.camera is not None:
        return open_live(source.camera, as_camera=True) if is_live([source.camera]) else Live(source.camera, Video(source.camera))
    if is_live(source.names):
        if wanted.resume:
            raise InputError("--resume is for pictures; a camera cannot be asked again")
        return chosen(open_live(source.names[0]), source.choice)
    frames = open_frames(source.names, source.recursive, without=wanted.out if wanted.out_kind == "folder" else None)
    try:
        return chosen(frames, source.choice)
    except InputError:
        frames.close()
        raise


def work_on_picture(path, image, wanted, detector) -> int:
    """Detect, write the files of results, all or none of them, say what was found and how long it took."""
    check_detector(wanted, detector)
    out, found = wanted.out, detector.detect(image)
    name = "stdin" if path == STDIN else str(path)
    frame, persons = Frame(0, name, Path(name).stem, None, image), counted(wanted, detector.persons(found))
    drawn = draw_wanted(wanted, detector, image, persons) if wanted.draws else None
    drawn_file = {out: results.encode_image(out, drawn)} if out is not None else {}
    contents = outputs.picture_files(wanted, detector, frame, persons) | drawn_file
    results.write_files(contents)
    prepare, seconds = detector.compile_seconds, detector.seconds
    prepared = f" (and {prepare:.3f} s to prepare it)" if prepare else ""
    parts = [detector.describe(persons), *([str(out)] if out and out != STDOUT else [])]
    timing = f"network {seconds['network'] - prepare:.3f} s{prepared}, decode {seconds['decode']:.3f} s, {by(detector)}"
    others = [str(name) for name in contents if name not in (out, STDOUT)]
    say = partial(print, file=sys.stderr if wanted.to_stdout else sys.stdout)
    say("; ".join([*parts, timing, *([", ".join(others)] if others else [])]))
    for line in skipped_lines(persons) if wanted.verbose else []:
        say(line)
    if wanted.show:
        show_picture(Path(out or path).name, drawn)
    return 0


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


def work_on_frames(source, wanted, note, detector) -> int:
    """Write what is wanted as the frames of a source come, and say at the end what there was. note: for stderr, before it begins."""
    check_detector(wanted, detector)
    if isinstance(source, Pictures) and not wanted.draws:  # what is drawn on is wanted in full
        source.least = detector.least_side
    if note:
        print(note, file=sys.stderr)
    from tqdm import tqdm  # takes 30 ms, which one picture need not wait for

    with ExitStack() as stack:
        if not source.live:
            records.check_same_run(wanted, detector)
            stack.enter_context(opencv_on_one_thread())  # a camera's frames go through one stage after another, and each may have all cores
        opened = outputs.open_sinks(wanted, source, detector)
        for sink in opened:
            stack.enter_context(closing(sink))
        title = f"{wanted.prog.removesuffix('.py')} ({KEYS})"
        say = partial(tqdm.write, file=sys.stderr if wanted.to_stdout else sys.stdout)
        window = stack.enter_context(closing(Window(title, source, say))) if wanted.show else None
        tracker = Tracker(wanted.smooth) if wanted.track or wanted.smooth else None
        counts = dict.fromkeys(("frames", "people", "skipped"), 0)
        failed, begin = False, time.perf_counter()
        try:
            work(source, detector, opened, tracker, window, counts, wanted)
        except InputError:
            failed = True
            raise
        finally:
            if counts["frames"] or (not failed and (counts["skipped"] or not source.failures)):
                say_done(source, counts, wanted, tracker, detector, time.perf_counter() - begin)
    report_left_out(source, wanted.prog)
    return report_failures(source, wanted.prog)


def work(source, detector, opened, tracker, window, counts, wanted):
    """The loop. counts: how many "frames", "people" and frames "skipped" there were, kept up to date."""

    def skip(frame):
        done = bool(opened) and all(sink.has(frame) for sink in opened)
        counts["skipped"] += done
        return done

    from tqdm import tqdm

    # The bar waits a second, so that what goes wrong at once is one line. With -v the lines show how far it is.
    every = 0.5 if sys.stderr.isatty() else 30
    bar = tqdm(total=len(source) or None, unit=unit_of(source), delay=1, mininterval=every, disable=wanted.verbose)
    with bar, closing(detect_frames(source, detector, skip)) as answers:
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
                say_frame(bar, frame, lines, sys.stderr if wanted.to_stdout else sys.stdout)
                begin = end
            bar.update(counts["frames"] + counts["skipped"] + (0 if source.is_video else len(source.failures)) - bar.n)
            if window is not None and not window.show(frame, drawn):
                break


def say_frame(bar, frame, lines, stream):
    """Lines about a picture or a frame, beside the bar, on stdout or stderr."""
    for line in lines:
        bar.write(f"{frame.name if frame.seconds is None else f'frame {frame.number}'}: {line}", file=stream)


def by(detector) -> str:
    return f"by {', '.join(detector.networks)}"


def unit_of(source) -> str:
    return "frame" if source.is_video else "picture"


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


def say_done(source, counts, wanted, tracker, detector, seconds):
    """One line on stdout, also after an interruption."""
    people = "" if not detector.has_pose else "person " if counts["people"] == 1 else "people "
    unit = unit_of(source)
    parts = [f"{counts['frames']} {unit}{'' if counts['frames'] == 1 else 's'}", f"{counts['people']} {people}found"]
    if tracker is not None:
        parts.append(f"{tracker.n_numbers} identities")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} were done before")
    if source.live:
        parts.append(f"{source.n_dropped} dropped")
    if getattr(source, "left_out", ()):
        parts.append(f"{len(source.left_out)} left out")
    written = [str(name) for name in wanted.named if name != STDOUT]
    took = f"{seconds:.1f} s, {counts['frames'] / seconds:.1f} {unit}s per second, {by(detector)}"
    said = "; ".join([", ".join(parts), *([", ".join(written)] if written else []), took])
    print(said, file=sys.stderr if wanted.to_stdout else sys.stdout)


def report_left_out(source, prog):
    """List on stderr what looks like a picture or a video, and was not worked on."""
    left_out = getattr(source, "left_out", ())
    for path, why in left_out[:MOST_LISTED]:
        print(f"{prog}: {path} is left out: {why}", file=sys.stderr)
    if len(left_out) > MOST_LISTED:
        print(f"{prog}: {len(left_out) - MOST_LISTED} more than listed are left out", file=sys.stderr)


def report_failures(source, prog) -> int:
    """List what could not be read on stderr. Returns the exit status."""
    if not source.failures:
        return 0
    for name, why in source.failures[:MOST_LISTED]:
        print(f"{prog}: {why if name in why else f'{name}: {why}'}", file=sys.stderr)
    total = f" of {len(source)} pictures" if isinstance(source, Pictures) else ""
    more = len(source.failures) - MOST_LISTED
    print(f"{prog}: {len(source.failures)}{total} could not be read{f' ({more} more than listed)' if more > 0 else ''}", file=sys.stderr)
    return 1
