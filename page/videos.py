"""What the page makes of a video: the people drawn, with numbers, as a video that browsers play; and a line of JSON for each frame."""

from contextlib import closing
from pathlib import Path

from keypoints.draw import draw_people
from keypoints.image import resize
from keypoints.track import Tracker
from page.uploads import check_seconds, open_video
from streams.formats import to_json_line
from streams.video import VideoFile

DRAWN, LINES = "result.webm", "result.jsonl"
CODEC = "VP80"  # VP9 takes three times as long
LONG_SIDE = 960  # pixels of what is drawn; JSON is in those of the video


def watch(path, detector, folder):
    """Work on a video, write DRAWN and LINES into the folder; yield (frames done, frames as the file says) after each frame.

    Raises InputError for a video that cannot be read, is too long, or lies about its length and is too long.
    """
    name, tracker = Path(path).name, Tracker()
    with closing(open_video(path)) as video, (Path(folder) / LINES).open("w", encoding="utf-8") as lines:
        drawn = VideoFile(Path(folder) / DRAWN, video.rate, CODEC)
        try:
            for frame in video.frames():
                check_seconds(frame.seconds, name)
                persons = tracker.update(detector.persons(detector.detect(frame.image)), frame.seconds)
                lines.write(to_json_line(frame._replace(name=name), persons))
                drawn.write(shrunk(draw_people(frame.image, persons)))
                yield frame.number + 1, len(video)
        except BaseException:  # also where the visitor has gone, or the page ends
            drawn.abandon()
            raise
        drawn.close()


def shrunk(image):
    """The picture with a long side of LONG_SIDE at most, of even sides."""
    scale = min(1, LONG_SIDE / max(image.shape[:2]))
    return resize(image, tuple(max(2, round(side * scale) // 2 * 2) for side in image.shape[1::-1]))
