"""What servers give: a file behind a URL (http, https), within limits on its size and on the whole time."""

import socket
import ssl
import urllib.request as request
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection, IncompleteRead
from urllib.error import HTTPError
from urllib.parse import urlsplit

from errors import InputError
from files import TIMEOUT, check_url
from streams.threads import aside

MOST_BYTES = 256 << 20
MOST_SECONDS = 120.0  # for the whole, with all redirects
CHUNK = 1 << 20


def fetch(url, what) -> bytes:
    """What a server gives for a URL (http, https). Raises InputError, also where it breaks off, or goes beyond the limits."""
    check_url(url, what)
    try:
        return _read(url, MOST_BYTES, MOST_SECONDS)
    except (OSError, ValueError) as error:
        raise InputError(f"{what} {url}: cannot be fetched ({error}); check the URL, or download it by other means and name the file") from None


def why_not(url) -> str:
    """What keeps a server (http, https) from answering, in a few words; "" if nothing does, or nobody knows."""
    try:
        _read(url, 1, 3.0, whole=False)
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def _read(url, most_bytes, most_seconds, whole=True) -> bytes:
    """Of more than most_bytes, or (whole=False) the first most_bytes. Raises OSError or ValueError, whose text says why.

    A thread reads: looking up a name, or a header that comes byte by byte, would neither hear a signal nor end at a time.
    """
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise ValueError("expected http:// or https://")
    sockets = []
    try:
        return aside(lambda: _receive(_opener(sockets), url, most_bytes, whole), most_seconds)
    except TimeoutError as error:
        raise OSError(str(error) or f"not complete after {most_seconds:.0f} s, the limit") from None
    except HTTPError as error:
        raise OSError(f"HTTP {error.code}: {_printable(error.reason)}") from None
    except HTTPException as error:  # it broke off, or is no HTTP
        raise OSError(_printable(error) or type(error).__name__) from None
    except OSError as error:
        raise OSError(_printable(getattr(error, "reason", error))) from None
    finally:
        for each in sockets:  # a thread that was left alone ends
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


def _printable(words) -> str:
    """One line, without what a server could do to a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in " ".join(str(words).split()))[:200]


def _receive(opener, url, most_bytes, whole) -> bytes:
    parts, n_bytes = [], 0
    with opener.open(url, timeout=TIMEOUT) as answer:
        if whole and (answer.length or 0) > most_bytes:
            raise ValueError(f"{answer.length:,} bytes, and {most_bytes:,} is the limit")
        while part := answer.read(min(CHUNK, most_bytes + whole - n_bytes)):
            parts.append(part)
            n_bytes += len(part)
            if whole and n_bytes > most_bytes:
                raise ValueError(f"more than {most_bytes:,} bytes, the limit")
        if whole and answer.length:  # so many are missing
            raise IncompleteRead(b"".join(parts), answer.length)
    return b"".join(parts)


def _opener(sockets):
    """urllib's way to open http and https, and nothing else that a redirect could name; its sockets are added to the list."""

    class Http(HTTPConnection):
        def connect(self):
            super().connect()
            sockets.append(self.sock)

    class Https(HTTPSConnection):
        def connect(self):
            super().connect()
            sockets.append(self.sock)

    class HttpHandler(request.HTTPHandler):
        def http_open(self, asked):
            return self.do_open(Http, asked)

    class HttpsHandler(request.HTTPSHandler):
        def https_open(self, asked):
            return self.do_open(Https, asked, context=ssl.create_default_context())

    opener = request.OpenerDirector()
    kinds = request.ProxyHandler, request.UnknownHandler, request.HTTPDefaultErrorHandler, request.HTTPRedirectHandler, request.HTTPErrorProcessor
    for kind in (*kinds, HttpHandler, HttpsHandler):
        opener.add_handler(kind())
    return opener
