# SPDX-License-Identifier: MIT
"""Files that come over HTTP, from an address that a person has named.

It believes nothing that it fetches, and proves nobody's identity: whoever asks has a signature or a
sum to hold against it, or says that there is none.
"""

import ssl
import urllib.request
from collections.abc import Callable
from ipaddress import ip_address
from urllib.parse import urlsplit

from haagent.errors import OperatorError

PATIENCE = 30.0  # seconds without a byte
SCHEMES = ("http", "https")
CHUNK = 1 << 20  # bytes


def is_address(wanted: str) -> bool:
    """Whether WANTED is to be fetched, and is no name of a file."""
    return urlsplit(wanted).scheme in SCHEMES


def check_host(url: str, instead: str) -> None:
    """Raises OperatorError if the host of URL is none that can be reached; INSTEAD says what to
    name.
    """
    try:
        host = urlsplit(url).hostname or ""
        ip_address(host)
    except ValueError:
        # image/mkosi.extra/etc/resolv.conf: nobody may ever wait for an answer about a name.
        raise OperatorError(
            f"This machine looks no names up, so {host or 'that'} means nothing to it.",
            f"Nothing was changed. {instead}",
        ) from None


def fetch(
    url: str, write: Callable[[bytes], object], room: int, is_at: Callable[[float], None]
) -> int:
    """Hands what is at URL to WRITE, at most ROOM bytes, and returns their number.

    Raises OSError, ValueError and http.client.HTTPException, and whatever comes is not whole then.
    """
    with _opener().open(url, timeout=PATIENCE) as answer:
        length = int(answer.headers.get("Content-Length") or 0)
        done = 0
        # With and without a length: nobody's answer may fill what others write to.
        while chunk := answer.read(CHUNK):
            done += len(chunk)
            if max(done, length) > room:
                raise OSError(
                    f"it has {max(done, length) >> 20} MiB, and its place has room for {room >> 20}"
                )
            write(chunk)
            if length:
                is_at(done / length)
        if length and done != length:
            raise OSError(f"it ended after {done} of {length} bytes")
        return done


def _opener() -> urllib.request.OpenerDirector:
    # safety: the certificate of an address proves nothing, and the image has none to compare it
    # with.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
