"""From a source to its results: pictures, folders, videos and cameras through a detector, one after another.

A detector has detect(image) -> found, stream(images) -> (image, found) in order, persons(found) -> list of keypoints.whole.WholePerson,
describe(found) -> text, to_json(found) -> dict, `parts` (names of whole.PARTS it looks for), `has_pose`, `net`, and `seconds`
{"network", "decode"} of the last picture.
"""

import sys
from collections import deque
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace

import cv2
from tqdm import tqdm

from errors import InputError
from keypoints import outputs, results
from keypoints.draw import draw_people
from keypoints.frames import DEFAULT_RATE, PICTURES, Frame, Pictures, read_ahead
from keypoints.image import read_image
from keypoints.track import Tracker
from keypoints.window import KEYS, Window

MOST_LISTED = 20  # failures


def run(options, open_detector) -> int:
    """Do what the options of cli.add_source_options say; what can be checked is checked before open_detector() is called."""
    path = options.img
    if path is None and is_one_picture(options.input) and outputs.out_kind(options.out) in (None, "picture") and not options.resume:
        path = options.input[0]
    if path is None:
        return run_on_frames(options, open_detector)
    out = options.out or ("result.png" if options.img is not None else None)
    return run_on_picture(SimpleNamespace(**{**vars(options), "img": path, "out": out}), open_detector)


def is_one_picture(names) -> bool:
    return len(names) == 1 and Path(names[0]).suffix.lower() in PICTURES and Path(names[0]).is_file()


def run_on_picture(options, open_detector) -> int:
    """Read --img, detect, write --out and the files of results, all or none of them, say what was found and how long it took."""
    for name, source in (("track", "a video or a camera"), ("smooth", "a video or a camera"), ("resume", "a folder"), ("recursive", "a folder")):
        if getattr(options, name):
            raise InputError(f"--{name} is for --input with {source}, not for one picture")
    path, out = options.img, options.out
    if out is not None:
        results.check_image_path(out)
    outputs.check_options(options)
    outputs.check_results(options, [path])
    image = read_image(path)
    detector = open_detector()
    found = detector.detect(image)
    frame, persons = Frame(0, str(path), Path(path).stem, None, image), detector.persons(found)
    drawn = draw_people(image, persons)
    contents = outputs.picture_files(options, detector, frame, found)
    if out is not None:
        contents[out] = results.encode_image(out, drawn)
    results.write_files(contents)
    prepare, seconds = detector.net.compile_seconds, detector.seconds
    prepared = f" (and {prepare:.3f} s to prepare it)" if prepare else ""
    parts = [detector.describe(found), *([str(out)] if out else [])]
    print(f"{'; '.join(parts)}; network {seconds['network'] - prepare:.3f} s{prepared}, decode {seconds['decode']:.3f} s")
    if options.show:
        show_picture(Path(out or path).name, drawn)
    return 0


def show_picture(name, drawn):
    """Until a key is pressed, or the window's own button."""
    cv2.imshow(name, drawn)
    while cv2.waitKey(100) < 0 and cv2.getWindowProperty(name, cv2.WND_PROP_VISIBLE) >= 1:
        pass


def run_on_frames(options, open_detector) -> int:
    """Work through --input; write --out and the files of results as the frames come."""
    outputs.check_options(options)
    with ExitStack() as stack:
        source = stack.enter_context(closing(outputs.open_source(options)))
        outputs.check_source(options, source)
        detector = open_detector()
        opened = outputs.open_sinks(options, source, detector)
        for sink in opened:
            stack.enter_context(closing(sink))
        window = stack.enter_context(closing(Window(title_of(options), source, tqdm.write))) if options.show else None
        tracker = Tracker(options.smooth) if options.track or options.smooth else None
        counts = work(source, detector, opened, tracker, window, draws=options.show or options.out is not None)
    if tracker is not None:
        counts["identities"] = tracker.n_numbers
    return report(source, counts, options)


def work(source, detector, opened, tracker, window, draws) -> dict:
    """The loop. Returns how many {"frames", "people", "skipped"} there were."""
    counts = {"frames": 0, "people": 0, "skipped": 0}

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
            for sink in opened:
                if not sink.has(frame):
                    sink.write(frame, persons, drawn)
            counts["frames"] += 1
            counts["people"] += len(persons)
            bar.update(counts["frames"] + counts["skipped"] + (0 if source.is_video else len(source.failures)) - bar.n)
            if window is not None and not window.show(frame, drawn):
                break
    return counts


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


def report(source, counts, options) -> int:
    """Say what was done; list what could not be read. Returns the exit status."""
    unit = "frame" if source.is_video else "picture"
    parts = [f"{counts['frames']} {unit}{'' if counts['frames'] == 1 else 's'}", f"{counts['people']} found"]
    if "identities" in counts:
        parts.append(f"{counts['identities']} identities")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} were done before")
    if source.live:
        parts.append(f"{source.n_dropped} dropped")
    written = [str(getattr(options, name)) for name in ("out", *outputs.FILES, *outputs.FOLDERS) if getattr(options, name, None)]
    print("; ".join([", ".join(parts), *([", ".join(written)] if written else [])]))
    for name, why in source.failures[:MOST_LISTED]:
        print(f"{options.prog}: {why if name in why else f'{name}: {why}'}", file=sys.stderr)
    if source.failures:
        more = len(source.failures) - MOST_LISTED
        total = f" of {len(source)}" if isinstance(source, Pictures) else ""
        print(f"{options.prog}: {len(source.failures)}{total} could not be read{f' ({more} more than listed)' if more > 0 else ''}", file=sys.stderr)
    return 1 if source.failures else 0


def title_of(options) -> str:
    return f"{options.prog.removesuffix('.py')} ({KEYS})"
