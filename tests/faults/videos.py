"""Videos."""

import cv2
import numpy as np
from faults.kinds import Kind, digest
from faults.pictures import picture
from videos import write_video

from errors import InputError
from streams.animation import Animation
from streams.capture import open_capture
from streams.frames import Video


class Mjpeg(Kind):
    name, suffix, codec, share = "video .avi", ".avi", "MJPG", 0.5

    def __init__(self, folder):
        super().__init__(folder)
        path = self.folder / f"good{self.suffix}"
        open_capture("none.avi")  # as in a script, a capture is what opens FFmpeg
        write_video(path, 6, codec=self.codec)
        self.good = path.read_bytes()

    def answer(self, data):
        path = self.folder / f"video{self.suffix}"
        path.write_bytes(data)
        video = Video(path)
        try:
            seen = [digest(frame.image) for frame in video.frames()]
        finally:
            video.close()
        if video.failures:
            raise InputError(video.failures[0][1])
        return tuple(seen)


class Mpeg4(Mjpeg):
    name, codec = "video .avi, MPEG-4", "XVID"


class Mp4(Mjpeg):
    name, suffix, codec = "video .mp4", ".mp4", "mp4v"


class Gif(Kind):
    """An animation. Its end says how many pictures it has, so what is cut off is another good file, or its end is said to be missing."""

    name, suffix, share = "animation .gif", ".gif", 0.5

    def __init__(self, folder):
        super().__init__(folder)
        animation = cv2.Animation()
        animation.frames = [np.roll(picture()[..., : 3 if self.suffix == ".gif" else 4], 5 * number, axis=1) for number in range(6)]
        animation.durations = [40, 100, 60, 10, 100, 200]
        path = self.folder / f"good{self.suffix}"
        assert cv2.imwriteanimation(str(path), animation)
        self.good = path.read_bytes()

    def answer(self, data):
        path = self.folder / f"animation{self.suffix}"
        path.write_bytes(data)
        animation = Animation(path)
        seen = [(frame.seconds, digest(frame.image)) for frame in animation.frames()]
        if animation.failures:
            raise InputError(animation.failures[0][1])
        return tuple(seen)


class Webp(Gif):
    name, suffix = "animation .webp", ".webp"


KINDS = (Mjpeg, Mpeg4, Mp4, Gif, Webp)
