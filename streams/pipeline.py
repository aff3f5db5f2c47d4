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
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from errors import InputError
from files import STDIN, STDOUT, check_url, is_url
from keypoints.track import Tracker
from streams import batch, outputs, records, results, shared, together
from streams.frames import Frame, Video, Videos, is_live, open_frames
from streams.live import Live, open_live
from streams.loop import counted, draw_wanted, new_counts, progress_bar, read_reduced, skipped_lines, unit_of, work
from streams.picture import read_image
from streams.selection import chosen
from streams.summary import by, report_failures, report_left_out, say_done
from streams.threads import opencv_on_one_thread
from streams.wanted import check, check_detector, check_frames, check_kinds, check_results, is_for_one_picture
from streams.window import KEYS, Window, check_screen, show_picture


def run(source, wanted, detector) -> int:
    """Work on a source (streams.wanted.Source), write what is wanted (streams.wanted.Wanted). Returns the exit status; raises InputError."""
    with prepare(source, wanted) as work:
        return work(detector)


@contextmanager
def prepare(source, wanted):
    """`with prepare(source, wanted) as work: status = work(detector)`: what can be checked is checked before a network is opened."""
    with shared.crew(wanted.prog) as mates:
        note = None
        if mates is not None:
            together.check_shared(wanted, source, mates.count)
        if source.camera is not None:
            wanted, note = with_window(wanted)
        check(wanted, source)
        if source.picture is not None and is_for_one_picture(wanted, source):
            check_results(wanted, source, [source.picture])
            check_kinds(wanted)
            yield partial(work_on_picture, source.picture, read_image(source.picture), wanted)
            return
        with closing(open_source(source, wanted)) as frames:
            if isinstance(frames, Videos):
                batch.check_videos(wanted, frames)
                yield partial(batch.work_on_videos, frames, wanted, source.choice, mates)
                return
            check_frames(wanted, source, frames)
            if mates is None:
                work = partial(work_on_frames, frames, wanted, note)
            else:
                together.check_shared_frames(wanted, frames, mates.count)
                work = partial(together.work_on_pictures, frames, wanted, mates)
            yield work if frames.live or (mates is not None and not mates.first) else partial(work_alone, wanted, work)


def work_alone(wanted, work, detector) -> int:
    """work(detector), where no other run writes the same files."""
    with records.held(wanted):
        return work(detector)


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
        return frames if isinstance(frames, Videos) else chosen(frames, source.choice)  # each of several videos: when it is opened
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


def work_on_frames(source, wanted, note, detector) -> int:
    """Write what is wanted as the frames of a source come, and say at the end what there was. note: for stderr, before it begins."""
    check_detector(wanted, detector)
    if note:
        print(note, file=sys.stderr)
    from tqdm import tqdm

    read_reduced(source, wanted, detector)
    with ExitStack() as stack:
        records.check_same_run(wanted, detector)
        if not source.live:  # a camera's frames go through one stage after another, and each may have all cores
            stack.enter_context(opencv_on_one_thread())
        for line in outputs.notes(wanted, source):
            print(f"{wanted.prog}: {line}", file=sys.stderr)
        outputs.take_up_parts(wanted, source, detector)
        opened = outputs.open_sinks(wanted, source, detector)
        for sink in opened:
            stack.enter_context(closing(sink))
        if not source.live:
            records.remember_run(wanted, detector)
        title = f"{wanted.prog.removesuffix('.py')} ({KEYS})"
        say = partial(tqdm.write, file=sys.stderr if wanted.to_stdout else sys.stdout)
        window = stack.enter_context(closing(Window(title, source, say))) if wanted.show else None
        tracker = Tracker(wanted.smooth) if wanted.track or wanted.smooth else None
        counts, failed, begin = new_counts(), False, time.perf_counter()
        bar = progress_bar(len(source) or None, unit_of(source), disable=wanted.verbose)  # the lines show how far it is

        def on_frame(_):
            bar.update(counts["frames"] + counts["skipped"] + (0 if source.is_video else len(source.failures)) - bar.n)

        try:
            with bar:
                work(source, detector, opened, counts, wanted, bar, on_frame, tracker, window)
        except InputError:
            failed = True
            raise
        finally:
            if counts["frames"] or (not failed and (counts["skipped"] or not source.failures)):
                if tracker is not None:
                    counts["identities"] = tracker.n_numbers
                say_done(source, counts, wanted, detector, time.perf_counter() - begin)
    outputs.put_in_order(wanted, source, detector)
    report_left_out(source, wanted.prog)
    return report_failures(source, wanted.prog)
