"""The page talks to nobody but its visitors: not from this process, and not from their browsers."""

import ipaddress
import shutil
import sys

HERE = ("localhost", "127.0.0.1", "::1")
ANY_V6 = (
    "[::1]",
    "[",
)  # as TrustedHostMiddleware reads http://[::1]:7860, whose port it looks for at the first colon. Addresses are no names to rebind
RESERVE = 200 * 2**20  # bytes of the disk that uploads leave
POLICY = (  # what a browser may load: from here only. Gradio's scripts are in the page and make some of themselves
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "connect-src 'self' data: blob:; base-uri 'self'; form-action 'self'; frame-ancestors 'self'"
)
HEADERS = [(b"content-security-policy", POLICY.encode()), (b"referrer-policy", b"no-referrer"), (b"x-content-type-options", b"nosniff")]


def stay_here(host):
    """From now on this process opens no connection to another machine and asks no name server: PermissionError. host: on which it listens.

    For the rest of the process: what is not wanted by us may still be done by a library.
    """
    known = {*HERE, host}

    def watch(event, arguments):
        if event == "socket.connect" and isinstance(arguments[1], tuple) and not _is_here(arguments[1][0]):
            raise PermissionError(f"this process makes no connection to other machines: {arguments[1][0]}")
        if event == "socket.getaddrinfo" and arguments[0] not in {None, *known} and not _is_here(arguments[0]):
            raise PermissionError(f"this process asks for no other machine: {arguments[0]}")

    sys.addaudithook(watch)


def _is_here(name) -> bool:
    name = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name in HERE


class Headers:
    """An ASGI application with HEADERS in each of its answers."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self.app(scope, receive, send_with_headers)


class Uploads:
    """An ASGI application that takes in what there is room for: it must say how large it is, and leave RESERVE on the disk."""

    def __init__(self, app, folder, gone):
        """folder: where uploads lie. gone: the exception that says that a visitor has left in the middle."""
        self.app, self.folder, self.gone = app, folder, gone
        self.coming = 0  # bytes of the uploads that are on their way

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http" or not scope["path"].rstrip("/").endswith("/upload"):
            await self.app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"").decode("latin-1")
        if not length.isdecimal():
            await refuse(send, 411, "An upload must say how large it is.")
        elif self.coming + int(length) + RESERVE > shutil.disk_usage(self.folder).free:
            while (await receive()).get("more_body"):  # a browser hears the answer when all is sent
                pass
            await refuse(send, 507, "There is no room for this file now; try again in half an hour, or with a smaller one.")
        else:
            self.coming += int(length)
            try:
                await self.app(scope, receive, send)
            except (OSError, self.gone):  # the disk is full all the same, the visitor has gone: nobody is here to be told more
                pass
            finally:
                self.coming -= int(length)


async def refuse(send, status, line):
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]}
    )
    await send({"type": "http.response.body", "body": line.encode()})
