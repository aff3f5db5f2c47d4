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
from streams.wanted import check_detector, is_for_one_picture


def check_shared(wanted, source, count):
    """Raise InputError for what `count` processes cannot share out, before the source is opened."""
    if source.camera is not None or is_live(source.names):
        raise _alone("a camera cannot be shared out", count)
    if STDIN in (source.img, *source.names):
        raise _alone("stdin (-) cannot be shared out", count)
    if source.picture is not None and is_for_one_picture(wanted, source):
        raise _alone("one picture cannot be shared out", count)
    if wanted.show:
        raise _alone("--show has one window, and cannot be shared out", count)
    if wanted.to_stdout:
        raise _alone("stdout (-) takes results in one order alone; name files: it cannot be shared out", count)


def check_shared_frames(wanted, frames, count):
    """As check_shared, for a source that is open."""
    if not isinstance(frames, Pictures):
        raise _alone(f"one video cannot be shared out, for its frames belong together (name several videos); {frames.path}: not", count)
    for name in ("track", "smooth"):
        if getattr(wanted, name):
            raise _alone(f"--{name} goes from one picture to the next, and cannot be shared out", count)
    if wanted.out_kind == "video":
        raise _alone(f"--out {wanted.out}: a video that is made of pictures cannot be shared out", count)


def _alone(what, count):
    return InputError(f"{what} among {count} processes; start one, without mpiexec")


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
        skipped = len(source) - len(numbers)
        return numbers

    def show(totals):
        bar.update(skipped + totals["done"] - bar.n)

    def on_frame():
        mates.progress(done=counts["frames"] + len(source.failures), frames=counts["frames"], people=counts["people"])

    def on_signal():
        say_ended(wanted, f"{skipped + mates.totals['done']} of {len(source)} pictures", mates.count)

    with progress_bar(len(source), unit_of(source), disable=wanted.verbose or not mates.first) as bar:
        mates.start(list_numbers, show, on_signal)
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
    totals = mates.totals | {"skipped": skipped}
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


def say_ended(wanted, done, n_processes):
    """A signal has come: the user's, or, where another process has ended, that of mpiexec, which says more."""
    reason = "" if n_processes == 1 else ", or another process has ended"
    print(f"{wanted.prog}: ended by a signal{reason}; {done} are done and kept; --resume goes on", file=sys.stderr)
