# SPDX-License-Identifier: MIT
"""What a server on this host answers, over HTTP and HTTPS, and what that means to a person."""

import datetime
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from haagent import fetching
from haagent.errors import OperatorError
from tests.unit.fake_server import serving

DATA = b"an image"
NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def certificate(folder: Path, name: str, until: datetime.datetime) -> Path:
    """Of NAME, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - 10 * DAY)
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    path.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return path


def get(url: str) -> bytes:
    with fetching.asked(url) as answer:
        assert fetching.length_of(answer) == len(DATA)
        return answer.read()


def named(address: str) -> str:
    """ADDRESS of a server of this host, by its name."""
    return address.replace("127.0.0.1", "localhost")


def test_who_proves_its_name_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proof = certificate(tmp_path, "localhost", NOW + DAY)
    monkeypatch.setenv("SSL_CERT_FILE", str(proof))
    with serving(DATA, proof) as safe, serving(DATA) as plain:
        assert get(f"{named(safe)}/it") == DATA
        with pytest.raises(OperatorError, match=r"127\.0\.0\.1 does not prove that it is"):
            get(f"{safe}/it")
        assert get(f"{plain}/to/{plain}/it") == DATA
        assert get(f"{plain}/to/{named(safe)}/it") == DATA
        with pytest.raises(OperatorError, match="which proves no name"):
            get(f"{named(safe)}/to/{plain}/it")


def test_who_cannot_prove_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = certificate(tmp_path, "localhost", NOW + DAY)
    with serving(DATA, stranger) as address, pytest.raises(OperatorError) as told:
        get(f"{named(address)}/it")
    assert "localhost does not prove that it is localhost: self-signed" in told.value.message
    assert "take http:// and --sha256" in told.value.hint
    old = certificate(tmp_path, "localhost", NOW - DAY)
    monkeypatch.setenv("SSL_CERT_FILE", str(old))
    with serving(DATA, old) as address, pytest.raises(OperatorError, match="expired") as told:
        get(f"{named(address)}/it")
    assert f"By this machine's clock it is {NOW:%Y-}" in told.value.hint
    with serving(DATA) as address, pytest.raises(OperatorError, match="does not prove"):
        get(f"{address.replace('http', 'https')}/it")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/401", r"wants a name and a password for it \(HTTP 401\)"),
        ("/403", r"does not give it to this machine \(HTTP 403\)"),
        ("/none", r"has nothing of that name \(HTTP 404\)"),
        ("/503", r"cannot give it now \(HTTP 503\)"),
        ("/to/gopher://127.0.0.1/it", r"cannot give it now \(HTTP 302\)"),
    ],
)
def test_what_a_server_does_not_give(path: str, why: str) -> None:
    with serving(DATA) as address, pytest.raises(OperatorError, match=why):
        get(f"{address}{path}")


def test_where_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(OperatorError, match="nothing answers at its port"):
            get(f"http://127.0.0.1:{free.getsockname()[1]}/it")


@pytest.mark.parametrize(
    "url", ["http:///it", "http://me:secret@127.0.0.1/it", "http://127.0.0.1:x/it"]
)
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(OperatorError, match="is not an address that can be fetched") as told:
        get(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://nas/vm/Web%20Server.ova?x=/y#z", "Web Server.ova"),
        ("http://nas/vm/", ""),
        ("http://nas", ""),
        ("http://nas/%1b[2J", "?[2J"),
    ],
)
def test_what_it_is_called(url: str, name: str) -> None:
    assert fetching.name_of(url) == name
