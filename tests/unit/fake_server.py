# SPDX-License-Identifier: MIT
"""A server on this host that tells DATA, in the way that the path says."""

import contextlib
import http.server
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def serving(data: bytes) -> Iterator[str]:
    """Its address. /none is not there, /half ends too early, /no-length does not say how much."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404 if self.path == "/none" else 200)
            if self.path != "/no-length":
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            # Who asked may have hung up by now: that is what some tests are about.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data[: len(data) // 2] if self.path == "/half" else data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
