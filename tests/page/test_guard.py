"""What is taken in."""

import asyncio
import shutil

import pytest

from page import guard


def ask(app, path, size=None, chunks=()):
    """The status of the answer, or None."""
    messages, parts = [], [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks] + [{"type": "http.request", "body": b""}]

    async def receive():
        return parts.pop(0)

    async def send(message):
        messages.append(message)

    headers = [] if size is None else [(b"content-length", str(size).encode())]
    asyncio.run(app({"type": "http", "path": path, "headers": headers}, receive, send))
    return messages[0]["status"] if messages else None


async def answering(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})


def test_uploads_leave_room_on_the_disk(tmp_path):
    app, free = guard.Uploads(answering, tmp_path, EOFError), shutil.disk_usage(tmp_path).free
    assert ask(app, "/gradio_api/upload", 1000) == 200
    assert ask(app, "/gradio_api/upload", free, [b"a", b"b"]) == 507
    assert ask(app, "/gradio_api/upload") == 411
    assert ask(app, "/gradio_api/queue/join") == 200
    app.coming = free  # of another visitor
    assert ask(app, "/gradio_api/upload", 1000) == 507


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), EOFError()])
def test_an_upload_that_breaks_off_counts_no_longer(tmp_path, error):
    async def fail(scope, receive, send):
        assert app.coming == 1000
        raise error

    app = guard.Uploads(fail, tmp_path, EOFError)
    assert ask(app, "/gradio_api/upload", 1000) is None
    assert app.coming == 0
