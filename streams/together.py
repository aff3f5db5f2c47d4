"""Pictures that several processes (streams.shared) share out: each writes its own part of the results, the first one joins them (streams.joining)."""

import sys
import time
from contextlib import ExitStack, closing

from errors import InputError
from files import STDIN
from streams import outputs, records
from streams.frames import Pictures, is_live
from streams.loop import new_counts, progress_bar, read_reduced, unit_of, work
from streams.summary import report_failures, report_left_out, say_done
from streams.threads import opencv_on_one_thread
from streams.wanted import OUTPUTS, check_detector, is_for_one_picture

NAMED = 10  # pictures of a process that was killed


def check_shared(wanted, source, count):
    """Raise InputError for what `count` processes cannot share out, before the source is opened."""
    if source.camera is not None or is_live(source.names):
        raise _refused("a camera", count)
    if STDIN in (source.img, *source.names):
        raise _refused("stdin (-)", count)
    if source.picture is not None and is_for_one_picture(wanted, source):
        raise _refused("one picture", count, "name several, or ")
    if wanted.show:
        raise _refused("the window of --show", count, "leave --show out, or ")
    if wanted.to_stdout:
        raise _refused("results on stdout (-)", count, "name files, or ")


def check_shared_frames(wanted, frames, count):
    """As check_shared, for a source that is open."""
    if not isinstance(frames, Pictures):
        raise _refused(f"{frames.path}: one video, whose frames belong together,", count, "name several, or ")
    for name in ("track", "smooth"):
        if getattr(wanted, name):
            raise _refused(f"--{name}, which goes from one picture to the next,", count)
    if wanted.out_kind == "video":
        raise _refused(f"--out {wanted.out}: a video that is made of pictures", count, "name a folder, or ")


def _refused(what, count, cure=""):
    return InputError(f"{what} cannot be shared out among {count} processes; {cure}start one, without mpiexec")


@opencv_on_one_thread()
def work_on_pictures(source, wanted, mates, detector) -> int:
    """As streams.pipeline.work_on_frames, by all of the mates (streams.shared.Crew); those that are not the first say nothing."""
    check_detector(wanted, detector)
    read_reduced(source, wanted, detector)
    counts, begin, skipped = new_counts(), time.perf_counter(), 0

    def list_numbers() -> list:
        nonlocal skipped
        records.check_same_run(wanted, detector)
        for line in outputs.notes(wanted, source):
            print(f"{wanted.prog}: {line}", file=sys.stderr)
        numbers = numbers_left(wanted, source, detector)
        records.remember_run(wanted, detector)
        skipped = len(source) - len(numbers)
        return numbers

    def show(totals):
        bar.update(skipped + totals["done"] - bar.n)

    def on_frame(frame=None):
        last = None if frame is None else frame.number
        mates.progress(last, done=counts["frames"] + len(source.failures), frames=counts["frames"], people=counts["people"])

    def on_signal(lost):
        say_ended(wanted, f"{skipped + mates.totals['done']} of {len(source)} pictures", mates.count, lost, source.paths)

    with progress_bar(len(source), unit_of(source), disable=wanted.verbose or not mates.first) as bar:
        mates.start(asked_of_all(wanted, source, detector), list_numbers, show, on_signal)
        with ExitStack() as stack:
            opened = outputs.open_parts(wanted, source, detector, mates.number) if mates.given else []
            for sink in opened:
                stack.enter_context(closing(sink))
            source.numbers = mates.tasks
            work(source, detector, opened, counts, wanted, bar, on_frame)
        on_frame()
        reports = mates.finish(source.failures)
        if reports is None:
            return 0
        show(mates.totals)
    outputs.join_parts(wanted, source, detector)
    places = {str(path): number for number, path in enumerate(source.paths)}
    source.failures = sorted((failure for each in reports for failure in each), key=lambda failure: places[failure[0]])
    totals = new_counts() | mates.totals | {"skipped": skipped}
    if totals["frames"] or skipped or not source.failures:
        say_done(source, totals, wanted, detector, time.perf_counter() - begin, mates.count)
    report_left_out(source, wanted.prog)
    return report_failures(source, wanted.prog)


def numbers_left(wanted, source, detector) -> list:
    """The numbers of the pictures that are to be worked on; the files are as a run of one process finds them before the first picture."""
    outputs.take_up_parts(wanted, source, detector)
    with ExitStack() as stack:
        opened = [stack.enter_context(closing(sink)) for sink in outputs.open_sinks(wanted, source, detector)]
        return [entry.number for entry in source.entries() if not all(sink.has(entry) for sink in opened)]


def asked_of_all(wanted, source, detector) -> dict:
    """What all processes must have alike: the number of a picture, or of a video, would stand for two otherwise."""
    options = records.asked(wanted, detector), [str(getattr(wanted, name)) for name in OUTPUTS], wanted.resume
    return {"options": options, "files in --input": list(map(str, source.paths))}


def say_ended(wanted, done, n_processes, lost=(), paths=()):
    """A signal has come: the user's, or, where another process has ended, that of mpiexec, which says more. lost, paths: as in words_of_lost."""
    reason = "" if n_processes == 1 else ", or another process has ended"
    words = f"{done} are done and kept; --resume goes on{words_of_lost(lost, paths)}"
    print(f"{wanted.prog}: ended by a signal{reason}; {words}", file=sys.stderr)


def words_of_lost(lost, paths) -> str:
    """What processes that were killed had in hand; it may be what killed them. lost: streams.desk.Desk.lost. paths: by the numbers of tasks."""
    words = ""
    for who, numbers in lost:
        names = ", ".join(str(paths[number]) for number in numbers[:NAMED]) or "nothing"
        more = len(numbers) - NAMED
        words += f"; {who}, is gone, and had in hand: {names}{f' and {more} more' if more > 0 else ''}"
    return words
