"""The program ffmpeg, where this machine has it: H.264 and VP9 that browsers play, written quickly, and the sound of a video.

OpenCV's own FFmpeg has no H.264 to give, and writes VP9 with libvpx's slow settings, which nothing outside can change: 1280x720 at 2 frames a second
of a core, where libx264 with these settings does 74.
"""

import importlib.util
import shutil
import subprocess
from fractions import Fraction
from functools import cache
from pathlib import Path

from streams.capture import CONTAINERS

H264 = (("libx264", "-preset superfast -crf 21"), ("libopenh264", "-b:v 6M"))
VP9 = (("libvpx-vp9", "-deadline realtime -cpu-used 8 -row-mt 1 -crf 32 -b:v 0"),)
CODECS = {"avc1": H264, "h264": H264, "x264": H264, "vp09": VP9, "vp90": VP9}  # four letters -> encoders, the best first, and what is quick
PLAYED_IN = {"h264": (".mp4", ".m4v", ".mov", ".mkv"), "vp9": (".mp4", ".webm", ".mkv")}
SOUND = {".webm": "libopus", ".avi": "libmp3lame"}  # what browsers play; AAC in all others
HEAD = 1 << 20  # bytes at a file's beginning and end that say whether it has sound
SOUND_MARKS = (b"soun", b"auds", b"A_AAC", b"A_OPUS", b"A_VORBIS", b"A_MPEG", b"A_AC3", b"A_FLAC", b"A_PCM")  # of MP4, AVI and Matroska


@cache
def program():
    """The path of ffmpeg: the one on PATH, or, where that writes no H.264 or is not there, the package imageio-ffmpeg's; None where there is none."""
    found = shutil.which("ffmpeg")
    if found is not None and _writes_h264(found):
        return found
    packaged = _packaged()
    return packaged if packaged is not None and (found is None or _writes_h264(packaged)) else found


def _packaged():
    """The program that the package imageio-ffmpeg brings; None where it is not installed, or has none for this machine."""
    if not importlib.util.find_spec("imageio_ffmpeg"):
        return None
    from imageio_ffmpeg import get_ffmpeg_exe

    try:
        return get_ffmpeg_exe()
    except RuntimeError:
        return None


def _writes_h264(name) -> bool:
    return any(encoder in _encoders_of(name) for encoder, _ in H264)


@cache
def _encoders_of(name) -> set:
    """The names of what this program encodes with."""
    try:
        answer = subprocess.run([name, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except OSError:  # of another machine, for example
        return set()
    return {words[1] for words in map(str.split, answer.stdout.splitlines()) if len(words) > 1}


def _encoders() -> set:
    return _encoders_of(program()) if program() else set()


def encoder(path, codec):
    """(name, settings) of the encoder for four letters in a container, by path's extension; None where this machine's ffmpeg has none for it."""
    choices = CODECS.get(codec.lower(), ())
    kind = "vp9" if choices is VP9 else "h264"
    if Path(path).suffix.lower() not in PLAYED_IN[kind]:
        return None
    return next(((name, settings.split()) for name, settings in choices if name in _encoders()), None)


class Writer:
    """As cv2.VideoWriter: isOpened, write, release. A Ctrl-C in the terminal does not reach the program, so that it completes its file."""

    def __init__(self, path, codec, rate, size_wh):
        """path: complete, with the container's extension. rate: frames per second. size_wh: even sides, pixels."""
        name, settings = encoder(path, codec)
        size = f"{size_wh[0]}x{size_wh[1]}"
        read = ["-f", "rawvideo", "-pix_fmt", "bgr24", "-s", size, "-framerate", _fraction(rate), "-i", "pipe:0"]
        color = ["-pix_fmt", "yuv420p", "-colorspace", "smpte170m", "-color_range", "tv"]  # as ffmpeg converts, so that players convert it back alike
        command = [program(), "-v", "error", "-y", *read, "-c:v", name, *settings, *color, *_quick_start(path), _name(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def isOpened(self) -> bool:
        return self.process.poll() is None

    def write(self, image):
        """image (H, W, 3) uint8 BGR. Where the program has ended (a full disk), VideoFile finds out when the file is completed."""
        try:
            self.process.stdin.write(image.data if image.flags.c_contiguous else image.tobytes())
        except (BrokenPipeError, ValueError):
            self.process.poll()

    def release(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            self.process.poll()
        self.process.wait()


def add_sound(path, source, begin, seconds, joined) -> bool:
    """Write to `joined` the pictures of the video `path` as they are, with the sound of the file `source` from begin on, as long as `seconds`;
    False where that cannot be done."""
    confined = ["-protocol_whitelist", "file", "-format_whitelist", CONTAINERS]  # a file that names others is none
    sound = [*confined, "-ss", f"{begin:.6f}", "-t", f"{seconds:.6f}", "-i", _name(source)]
    codec = ["-c:v", "copy", "-c:a", SOUND.get(Path(path).suffix.lower(), "aac")]
    command = [
        program(),
        "-v",
        "error",
        "-y",
        "-i",
        _name(path),
        *sound,
        "-map",
        "0:v:0",
        "-map",
        "1:a:0",
        *codec,
        *_quick_start(path),
        _name(joined),
    ]
    return subprocess.run(command, capture_output=True, check=False, stdin=subprocess.DEVNULL, start_new_session=True).returncode == 0


def has_sound(path) -> bool:
    """Whether a video file seems to have sound, by the marks of its container."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(HEAD)
            file.seek(max(0, Path(path).stat().st_size - HEAD))
            data = head + file.read(HEAD)
    except OSError:
        return False
    return any(mark in data for mark in SOUND_MARKS)


def _fraction(rate) -> str:
    return str(Fraction(rate).limit_denominator(100_000))


def _quick_start(path) -> list:
    """What a player needs first stands first, so that it plays while it comes over a network."""
    return ["-movflags", "+faststart"] if Path(path).suffix.lower() in (".mp4", ".m4v", ".mov") else []


def _name(path) -> str:
    """A file, whatever its name looks like: "a:b.mp4" is no protocol, "-x.mp4" no option."""
    return f"file:{path}"
