"""Videos."""

from faults.kinds import Kind, digest
from videos import write_video

from errors import InputError
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


KINDS = (Mjpeg, Mpeg4, Mp4)
