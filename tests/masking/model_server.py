"""A real HTTP server in a thread that serves archives, and misbehaves on request."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Site:
    """The served files, the server's behaviour, and the requests it received."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    etag: str | None = '"one"'
    drop_after: list[int] = field(default_factory=list)  # body bytes after which the next answers are cut off
    stall_after: int | None = None  # body bytes after which an answer waits for `released`
    statuses: list[int] = field(default_factory=list)  # answered first, one per request
    requests: list[tuple[str, str | None]] = field(default_factory=list)  # path, Range header
    released: threading.Event = field(default_factory=threading.Event)
    stalled: threading.Event = field(default_factory=threading.Event)
    base_url: str = ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.requests.append((self.path, asked))
        self.close_connection = True
        body = site.files.get(self.path)
        status = site.statuses.pop(0) if site.statuses else (200 if body is not None else 404)
        if status != 200 or body is None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = self._start(asked)
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(body, start)

    def _start(self, asked: str | None) -> int:
        condition = self.headers.get("If-Range")
        if not self.site.ranges or asked is None or (condition and condition != self.site.etag):
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))

    def _send(self, body: bytes, start: int) -> None:
        site = self.site
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if site.etag:
            self.send_header("ETag", site.etag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = start + site.drop_after.pop(0) if site.drop_after else len(body)
        if site.stall_after is not None:
            self.wfile.write(body[start : start + site.stall_after])
            self.wfile.flush()
            site.stalled.set()
            site.released.wait(60)
            start += site.stall_after
        self.wfile.write(body[start:end])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Keep the test's output clean."""


@contextmanager
def serving(site: Site) -> Iterator[Site]:
    """Serve `site` on a free port of this machine while the block runs."""
    handler = type("Handler", (_Handler,), {"site": site})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed client is part of the test
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.base_url = f"http://127.0.0.1:{server.server_port}/"
    try:
        yield site
    finally:
        site.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def tar_gz(members: Mapping[str, bytes | tarfile.TarInfo]) -> bytes:
    """An archive of files (bytes) and special members (TarInfo)."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()
