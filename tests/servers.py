"""A server on this machine, to test with."""

import threading
from contextlib import contextmanager
from http.server import ThreadingHTTPServer


@contextmanager
def serving(handler):
    """`with serving(handler) as address:` an HTTP server on the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.release = threading.Event()
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.release.set()
        server.shutdown()
        thread.join()
        server.server_close()
