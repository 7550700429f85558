# SPDX-License-Identifier: MIT
"""Files that come over HTTP, from an address that a person has named.

It believes nothing that it fetches: whoever asks has a signature or a sum to hold against it, or
says that there is none.
"""

import contextlib
import http.client
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import IO
from urllib.parse import unquote, urlsplit

from haagent.carrying import shown
from haagent.elsewhere.names import unreachable
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
    # safety: the certificate of an address proves nothing, and there is none to compare it with.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with _opener(context).open(url, timeout=PATIENCE) as answer:
        return receive(answer, write, room, is_at)


def receive(
    answer: http.client.HTTPResponse,
    write: Callable[[bytes], object],
    room: int,
    is_at: Callable[[float], None],
) -> int:
    """The same with an ANSWER that has begun."""
    length = length_of(answer) or 0
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


def length_of(answer: http.client.HTTPResponse) -> int | None:
    """Bytes that come, if it says so. Raises ValueError."""
    said = answer.headers.get("Content-Length")
    return None if said is None else int(said)


def name_of(url: str) -> str:
    """What a file from URL is called; empty if it has no name."""
    return shown(unquote(urlsplit(url).path).rpartition("/")[2])


@contextlib.contextmanager
def asked(url: str) -> Iterator[http.client.HTTPResponse]:
    """What the server of URL answers, if it has a certificate of its name where that begins with
    https. Raises OperatorError if it cannot be had.
    """
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        host, port = "", 0
    if not host or parts.username is not None:
        raise OperatorError(
            f"{shown(parts.path) if parts.username else shown(url)} is not an address that can be"
            " fetched. Nothing was changed.",
            "It is http://HOST/FILE or https://HOST/FILE, without a name and a password.",
        )
    try:
        answer = _opener(ssl.create_default_context()).open(url, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        raise _declined(host, error.code) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        why = getattr(error, "reason", error)
        if isinstance(why, ssl.SSLError):
            raise _untrusted(host, why) from error
        raise unreachable(host, port, why if isinstance(why, Exception) else error) from error
    with answer:
        yield answer


def _declined(host: str, code: int) -> OperatorError:
    what, hint = {
        401: ("wants a name and a password for it", "Share it without, or take ssh://."),
        403: ("does not give it to this machine", "Allow that there."),
        404: ("has nothing of that name", "Look at the address; capitals count."),
    }.get(code, ("cannot give it now", "Look at the server's own log."))
    return OperatorError(f"{host} {what} (HTTP {code}). Nothing was changed.", hint)


def _untrusted(host: str, error: ssl.SSLError) -> OperatorError:
    why = getattr(error, "verify_message", "") or error.reason or str(error)
    return OperatorError(
        f"{host} does not prove that it is {host}: {why}. Nothing was changed.",
        f"By this machine's clock it is {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: if that is wrong,"
        " so is this. A certificate that one has made oneself is not taken; then take http:// and"
        " --sha256, or ssh://.",
    )


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        # safety: who was to prove its name does not send us to one that does not.
        if req.type == "https" and urlsplit(newurl).scheme != "https":
            raise OSError(f"it leads to {shown(newurl):.80}, which proves no name")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(context: ssl.SSLContext) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context), _Redirects
    )
