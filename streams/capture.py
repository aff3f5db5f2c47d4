"""OpenCV's way to videos and cameras: in silence, within limits of time, and from the named source alone."""

from process import shortage_in

import os
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

import cv2

from errors import InputError
from files import TIMEOUT, check_url, is_url
from silence import quiet
from streams.threads import aside

OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# What a video file may be: FFmpeg's readers that find all pictures in the file itself. Others (concat, hls, sdp, ...) open what it names.
CONTAINERS = (
    "mov,matroska,avi,asf,asf_o,mpeg,mpegts,mpegtsraw,mpegvideo,m4v,h261,h263,h264,hevc,vvc,evc,av1,obu,ivf,ogg,flv,live_flv,kux,mjpeg,mjpeg_2000,"
    "mpjpeg,smjpeg,gif,apng,jpegxl_anim,dv,mxf,gxf,rm,ivr,nut,nsv,swf,wtv,yuv4mpegpipe,vc1,vc1test,cavsvideo,avs2,avs3,apv,dirac,dnxhd,dhav,hxvs,"
    "moflex,mods,smk,bink,roq,flic,4xm,ty,pva,nuv,lxf,film_cpk,ser,cine,r3d,usm,xmv,v210,vivo,thp,wc3movie,ea,idcin,mtv,pmp,nc,xmd"
)
# scheme of a URL -> protocols that FFmpeg may use for it, and for what a playlist on that server names
PROTOCOLS = {
    "http": "http,https,httpproxy,tcp,tls,crypto",
    "https": "https,http,httpproxy,tcp,tls,crypto",
    "rtsp": "rtsp,rtp,srtp,udp,tcp,http,httpproxy",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls",
    "rtp": "rtp,srtp,udp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tcp,tls",
    "mms": "mmst,mmsh,tcp",
}

_opening = threading.Lock()  # the variable is the process's


class Capture:
    """A cv2.VideoCapture. A frame at which its readers raise cv2.error (the size that a damaged .avi claims) is one that is not there."""

    def __init__(self, *arguments):
        self._capture = cv2.VideoCapture(*arguments)

    def __getattr__(self, name):
        return getattr(self._capture, name)

    def read(self):
        return self._tried(self._capture.read, (False, None))

    def grab(self):
        return self._tried(self._capture.grab, False)

    def retrieve(self):
        return self._tried(self._capture.retrieve, (False, None))

    @staticmethod
    def _tried(work, otherwise):
        try:
            return work()
        except cv2.error as error:
            if shortage_in(error) is not None:  # of memory
                raise
            return otherwise


def with_first(open_it, name) -> tuple:
    """(capture, its first picture (H, W, 3) uint8 BGR), or (capture, None) where none comes; the capture is released then.

    A thread does it: OpenCV may take its time (a server's header, a damaged file), and would not hear signals.
    """

    def begin():
        capture = open_it(name)
        with quiet():
            done, image = capture.read() if capture.isOpened() else (False, None)
        if not done:
            capture.release()
        return capture, image if done else None

    return aside(begin)


def open_capture(name):
    """A Capture that says nothing on stderr by itself. name: of a file or URL, or a camera's number. Raises InputError for file://."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # our own line says it
    if isinstance(name, int):
        return _open_quietly(name)
    name = opencv_name(name)
    with _opening, _confined(name):
        if not is_url(name):
            return _open_quietly(name)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it stays: a server may fall silent in the middle of the work
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, 1000 * TIMEOUT, cv2.CAP_PROP_READ_TIMEOUT_MSEC, 1000 * TIMEOUT]
        return Capture(name, cv2.CAP_FFMPEG, limits)


def _open_quietly(name):
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        with quiet():
            return Capture(name)
    finally:
        cv2.utils.logging.setLogLevel(level)


@contextmanager
def _confined(name):
    """`with _confined(name):` what FFmpeg opens, it reads from this file or kind of server alone. What a user set in the variable goes on top."""
    if is_url(name):
        check_url(name, "video")
        scheme = urlsplit(name).scheme.lower()
        ours = {
            "protocol_whitelist": PROTOCOLS.get(scheme, f"{scheme},tcp,udp,tls"),
            "rtsp_flags": "prefer_tcp",
        }  # which OpenCV sets where nothing is said
    else:
        ours = {"protocol_whitelist": "file", "format_whitelist": CONTAINERS}
    before = os.environ.get(OPTIONS)
    os.environ[OPTIONS] = "|".join([*(f"{key};{value}" for key, value in ours.items()), *([before] if before else [])])
    try:
        yield
    finally:
        if before is None:
            del os.environ[OPTIONS]
        else:
            os.environ[OPTIONS] = before


def opencv_name(path) -> str:
    """The name of a file for OpenCV, which ends the process where a name is no UTF-8. Raises InputError there."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{path}: OpenCV knows no names that are not UTF-8; give the file another name") from None
    return str(path)
