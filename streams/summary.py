"""What is said at the end of a run over many frames: one line of what there was, and what was left out."""

import sys

from files import STDOUT
from streams.frames import Pictures, Videos
from streams.loop import unit_of

MOST_LISTED = 20  # failures


def by(detector) -> str:
    return f"by {', '.join(detector.networks)}"


def say_done(source, counts, wanted, detector, seconds, n_processes=1):
    """One line on stdout, also after an interruption."""
    people = "" if not detector.has_pose else "person " if counts["people"] == 1 else "people "
    unit = unit_of(source)
    parts = [f"{counts['frames']} {unit}{'' if counts['frames'] == 1 else 's'}", f"{counts['people']} {people}found"]
    if "videos" in counts:
        parts.insert(0, f"{counts['videos']} video{'' if counts['videos'] == 1 else 's'}")
    if "identities" in counts:
        parts.append(f"{counts['identities']} identities")
    if counts["skipped"]:
        parts.append(f"{counts['skipped']} were done before")
    if source.live:
        parts.append(f"{source.n_dropped} dropped")
    if getattr(source, "left_out", ()):
        parts.append(f"{len(source.left_out)} left out")
    written = dict.fromkeys(str(name) for name in wanted.named if name != STDOUT)
    took = f"{seconds:.1f} s, {counts['frames'] / seconds:.1f} {unit}s per second, {by(detector)}"
    if n_processes > 1:
        took += f", {n_processes} processes"
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
    total = f" of {len(source)} {'pictures' if isinstance(source, Pictures) else 'videos'}" if isinstance(source, (Pictures, Videos)) else ""
    more = len(source.failures) - MOST_LISTED
    print(f"{prog}: {len(source.failures)}{total} could not be read{f' ({more} more than listed)' if more > 0 else ''}", file=sys.stderr)
    return 1
