# SPDX-License-Identifier: MIT
"""A server on this host that tells DATA, in the way that the path says."""

import contextlib
import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def serving(data: bytes, proof: Path | None = None) -> Iterator[str]:
    """Its address; with PROOF, a certificate and its key, over HTTPS.

    /none is not there, /half ends too early, /no-length does not say how much, /503 answers with
    that, /to/URL leads to URL.
    """

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            word, _, rest = self.path[1:].partition("/")
            codes = {"none": 404, "to": 302}
            self.send_response(int(word) if word.isdecimal() else codes.get(word, 200))
            if word == "to":
                self.send_header("Location", rest)
            if word != "no-length":
                self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            # Who asked may have hung up by now: that is what some tests are about.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data[: len(data) // 2] if word == "half" else data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass  # who does not believe a certificate hangs up

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http"
        if proof is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(proof)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{scheme}://127.0.0.1:{server.server_port}"
        server.shutdown()
