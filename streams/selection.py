"""Some of a source's frames: from one to another, every so many, or so many a second."""

import math
from typing import NamedTuple

from errors import InputError
from streams.frames import Pictures


class Choice(NamedTuple):
    """Which frames. The fields are called as the options are."""

    first: int = 0  # number of a frame, from 0
    last: int | None = None  # the last one that is taken
    step: int = 1
    fps: float | None = None  # of a video: so many a second are taken; of pictures: the rate of the video that they become


def check_choice(choice):
    """Raise InputError for what contradicts itself."""
    if choice.last is not None and choice.last < choice.first:
        raise InputError(f"--last {choice.last} comes before --first {choice.first}; frames are counted from 0")


def chosen(source, choice):
    """The source with the frames of a Choice alone. Raises InputError where it has none of them, or fewer a second."""
    if choice == Choice():
        return source
    if source.live:
        raise InputError("--first, --last, --step and --fps are for videos and pictures; a camera gives what it sees")
    if isinstance(source, Pictures):
        return _chosen_pictures(source, choice)
    if len(source) and choice.first >= len(source):
        raise InputError(f"--first {choice.first}: {source.path} has {len(source)} frames, counted from 0")
    if choice.fps is not None:
        if choice.step > 1:
            raise InputError("--step and --fps both say which frames of a video are left out; name one of them")
        if choice.fps > source.rate * 1.001:
            raise InputError(f"--fps {choice.fps:g}: {source.path} has only {source.rate:.6g} frames a second; leave --fps out to take all")
    return Selected(source, choice)


def _chosen_pictures(source, choice):
    end = None if choice.last is None else choice.last + 1
    paths = source.paths[choice.first : end : choice.step]
    if not paths:
        raise InputError(f"--first {choice.first}: there are {len(source)} pictures, counted from 0")
    pictures = Pictures(paths, source.stems[choice.first : end : choice.step], source.left_out)
    pictures.rate = choice.fps
    return pictures


class _Enough(Exception):
    """The last frame was there."""


class Selected:
    """A video with some of its frames left out; the others keep their numbers and times."""

    live, is_video = False, True

    def __init__(self, source, choice):
        """source: what has frames, path, rate, size_wh and a length, as streams.frames.Video."""
        self.source, self.choice = source, choice
        self.path, self.size_wh, self.failures = source.path, source.size_wh, source.failures
        self.rate = choice.fps or source.rate / choice.step  # of what is left: its time goes on as before

    @property
    def begin(self):
        """Seconds of the source before the first frame."""
        return self.choice.first / self.source.rate

    def __len__(self):
        n_frames = len(self.source)
        if self.choice.last is not None:
            n_frames = min(n_frames, self.choice.last + 1) if n_frames else self.choice.last + 1
        return max(0, math.ceil((n_frames - self.choice.first) * self.rate / self.source.rate - 1e-9))

    def _takes(self, number) -> bool:
        at = number - self.choice.first
        if at < 0 or self.choice.fps is None:
            return at >= 0 and at % self.choice.step == 0
        ratio = self.rate / self.source.rate
        return at == 0 or math.floor(at * ratio + 1e-9) > math.floor((at - 1) * ratio + 1e-9)

    def frames(self, skip=lambda frame: False):
        def passes(frame):
            if self.choice.last is not None and frame.number > self.choice.last:
                raise _Enough
            return not self._takes(frame.number) or skip(frame)

        try:
            yield from self.source.frames(passes)
        except _Enough:
            return

    def close(self):
        self.source.close()
