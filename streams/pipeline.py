"""From a source to its results: pictures, folders, videos and cameras through a detector, one after another.

A detector has detect(image) -> found, stream(images) -> (image, found) in order, persons(found) -> list of keypoints.whole.WholePerson,
describe(found) -> text, `parts` (names of whole.PARTS it looks for), `has_pose`, and of the last
picture `seconds` {"network", "decode"} and `compile_seconds`.
"""

import sys
from collections import deque
from contextlib import ExitStack, closing
from pathlib import Path

from tqdm import tqdm

from cli import changed
from errors import InputError
from files import make_folder
from keypoints.draw import draw_people
from keypoints.track import Tracker
from streams import outputs, results
from streams.frames import DEFAULT_RATE, PICTURES, Frame, Pictures, Video, is_live, is_picture_url
from streams.live import Live, open_live
from streams.picture import read_image
from streams.threads import read_ahead, undivided
from streams.window import KEYS, Window, check_screen, show_picture

MOST_LISTED = 20  # failures


def run(options, open_detector) -> int:
    """Do what the options of cli.add_source_options say; what can be checked is checked before open_detector() is called."""
    path = options.img
    if path is None and is_one_picture(options.input) and outputs.out_kind(options.out) in (None, "picture") and not options.resume:
        path = options.input[0]
    if path is None:
        return run_on_frames(options, open_detector)
    out = options.out or ("result.png" if options.img is not None else None)
    return run_on_picture(changed(options, img=path, out=out), open_detector)


def is_one_picture(names) -> bool:
    return len(names) == 1 and (is_picture_url(names[0]) or (Path(names[0]).suffix.lower() in PICTURES and Path(names[0]).is_file()))


def run_on_picture(options, open_detector) -> int:
    """Read --img, detect, write --out and the files of results, all or none of them, say what was found and how long it took."""
    for name, source in (("track", "many frames"), ("smooth", "many frames"), ("resume", "a folder"), ("recursive", "a folder")):
        if getattr(options, name):
            raise InputError(f"--{name} is for --input with {source}, not for one picture")
    path, out = options.img, options.out
    if out is not None:
        results.check_image_path(out)
    outputs.check_options(options)
    outputs.check_results(options, [path])
    outputs.check_kinds(options)
    image = read_image(path)
    detector = opened_detector(options, open_detector)
    found = detector.detect(image)
    frame, persons = Frame(0, str(path), Path(path).stem, None, image), detector.persons(found)
    drawn = draw_people(image, persons)
    contents = outputs.picture_files(options, detector, frame, found)
    if out is not None:
        contents[out] = results.encode_image(out, drawn)
    if options.openpose_json is not None:
        make_folder(options.openpose_json)
    results.write_files(contents)
    prepare, seconds = detector.compile_seconds, detector.seconds
    prepared = f" (and {prepare:.3f} s to prepare it)" if prepare else ""
    parts = [detector.describe(found), *([str(out)] if out else [])]
    timing = f"network {seconds['network'] - prepare:.3f} s{prepared}, decode {seconds['decode']:.3f} s"
    others = [str(name) for name in contents if name != out]
    print("; ".join([*parts, timing, *([", ".join(others)] if others else [])]))
    for line in skipped_lines(persons) if options.verbose else []:
        print(line)
    if options.show:
        show_picture(Path(out or path).name, drawn)
    return 0


def skipped_lines(persons) -> list:
    """Which faces and hands were not looked for, and why."""
    return [f"person {i}: {name.replace('_', ' ')} skipped: {why}" for i, person in enumerate(persons) for name, why in person.skipped.items()]


def opened_detector(options, open_detector):
    """Raises InputError where the options ask for poses and it finds none."""
    detector = open_detector()
    for name in ("track", "smooth", "coco_results"):
        if getattr(options, name) and not detector.has_pose:
            raise InputError(f"--{name} is for poses, and {options.arch} finds none; leave it out")
    return detector


def run_on_frames(options, open_detector, open_source=outputs.open_source) -> int:
    """Work through --input, or what open_source(options) gives; write --out and the files of results as the frames come."""
    outputs.check_options(options)
    with ExitStack() as stack:
        source = stack.enter_context(closing(open_source(options)))
        outputs.check_source(options, source)
        detector = opened_detector(options, open_detector)
        opened = outputs.open_sinks(options, source, detector)
        for sink in opened:
            stack.enter_context(closing(sink))
        window = stack.enter_context(closing(Window(title_of(options), source, tqdm.write))) if options.show else None
        tracker = Tracker(options.smooth) if options.track or options.smooth else None
        counts = dict.fromkeys(("frames", "people", "skipped"), 0)
        failed = False
        try:
            work(source, detector, opened, tracker, window, counts, draws=options.show or options.out is not None, verbose=options.verbose)
        except InputError:
            failed = True
            raise
        finally:
            if counts["frames"] or (not failed and (counts["skipped"] or not source.failures)):
                say_done(source, counts, options, tracker, detector.has_pose)
    return report_failures(source, options)


def work(source, detector, opened, tracker, window, counts, draws, verbose):
    """The loop. counts: how many "frames", "people" and frames "skipped" there were, kept up to date."""

    def skip(frame):
        done = bool(opened) and all(sink.has(frame) for sink in opened)
        counts["skipped"] += done
        return done

    # The bar waits a second, so that what goes wrong at once is one line.
    with tqdm(total=len(source) or None, unit="frame", delay=1, mininterval=0.5 if sys.stderr.isatty() else 30) as bar:
        for frame, found in detect_frames(source, detector, skip):
            persons = detector.persons(found)
            if tracker is not None:
                persons = tracker.update(persons, frame.number / DEFAULT_RATE if frame.seconds is None else frame.seconds)
            drawn = draw_people(frame.image, persons) if draws else None
            with undivided():  # all files have the frame, or none
                for sink in opened:
                    if not sink.has(frame):
                        sink.write(frame, persons, drawn)
                counts["frames"] += 1
                counts["people"] += len(persons)
            for line in skipped_lines(persons) if verbose else []:
                tqdm.write(f"{frame.name if frame.seconds is None else f'frame {frame.number}'}: {line}")
            bar.update(counts["frames"] + counts["skipped"] + (0 if source.is_video else len(source.failures)) - bar.n)
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
        for frame in read_ahead(source.frames(skip)):
            waiting.append(frame)
            yield frame.image

    for _, found in detector.stream(images()):
        yield waiting.popleft(), found


def say_done(source, counts, options, tracker, has_pose):
    """One line on stdout, also after an interruption."""
    people = "" if not has_pose else "person " if counts["people"] == 1 else "people "
    unit = "frame" if source.is_video else "picture"
    parts = [f"{counts['frames']} {unit}{'' if counts['frames'] == 1 else 's'}", f"{counts['people']} {people}found"]
    if tracker is not None:
        parts.append(f"{tracker.n_numbers} identities")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} were done before")
    if source.live:
        parts.append(f"{source.n_dropped} dropped")
    written = list(map(str, outputs.named(options)))
    print("; ".join([", ".join(parts), *([", ".join(written)] if written else [])]))


def report_failures(source, options) -> int:
    """List what could not be read on stderr. Returns the exit status."""
    if not source.failures:
        return 0
    for name, why in source.failures[:MOST_LISTED]:
        print(f"{options.prog}: {why if name in why else f'{name}: {why}'}", file=sys.stderr)
    total = f" of {len(source)} pictures" if isinstance(source, Pictures) else ""
    more = len(source.failures) - MOST_LISTED
    print(f"{options.prog}: {len(source.failures)}{total} could not be read{f' ({more} more than listed)' if more > 0 else ''}", file=sys.stderr)
    return 1


def title_of(options) -> str:
    return f"{options.prog.removesuffix('.py')} ({KEYS})"


def run_on_camera(options, open_detector) -> int:
    """Work on the newest frame of --camera, or of --input as if it were one, in a window where there is a screen."""

    show, note = True, None
    try:
        check_screen("the window", "name --out VIDEO (or --jsonl FILE) to run without one; Ctrl-C ends it")
    except InputError as error:
        if not outputs.named(options):
            raise
        show, note = False, f"{options.prog}: {str(error).split(';')[0]}; Ctrl-C ends it"

    def open_source(options):
        name = str(options.camera) if options.input is None else options.input
        return open_live(name, as_camera=True) if options.input is None or is_live([name]) else Live(name, Video(name))

    def open_and_say():
        detector = open_detector()
        if note:
            print(note, file=sys.stderr)
        return detector

    return run_on_frames(changed(options, show=show), open_and_say, open_source)
