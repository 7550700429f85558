# SPDX-License-Identifier: MIT
"""An update is taken if it is exactly what was signed, and nothing else is."""

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from haagent.errors import OperatorError
from haagent.update import archive, manifest
from haagent.update.archive import Reader
from haagent.update.installing import examine
from haagent.update.manifest import BadUpdate, Formats, Manifest
from tests.unit.fake_stick import KEY, NEW, PACK, contents, slot_of, update_file

Content = dict[str, Any]


@pytest.fixture(scope="module")
def update(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return update_file(tmp_path_factory.mktemp("update")).read_bytes()


def read(data: bytes) -> Manifest:
    return examine(Reader(io.BytesIO(data), KEY.public_key()))


def rebuilt(said: bytes, *, order: tuple[str, ...] = manifest.FILES) -> bytes:
    """An update with another manifest SAID, which is signed."""
    made = b""
    files = {**contents(NEW), archive.MANIFEST: said, archive.SIGNATURE: KEY.sign(said)}
    for name in (archive.MANIFEST, archive.SIGNATURE, *order):
        data = files[name]
        made += archive.header(name, len(data)) + data + archive.padding(len(data))
    return made + archive.END


def said_in(update: bytes) -> Content:
    with tarfile.open(fileobj=io.BytesIO(update)) as tar:
        file = tar.extractfile(archive.MANIFEST)
        assert file is not None
        content: Content = json.load(file)
        return content


def test_it_is_a_tar_that_anybody_can_list(update: bytes) -> None:
    with tarfile.open(fileobj=io.BytesIO(update)) as tar:
        names = tar.getnames()
    assert names == ["manifest.json", "manifest.sig", "root", "xen", "vmlinux", "vmlinuz", "initrd"]


def test_what_is_packed_is_what_is_read(update: bytes) -> None:
    found = read(update)
    assert found.slot == slot_of(NEW)
    reader = Reader(io.BytesIO(update), KEY.public_key())
    parts = {part.name: b"".join(chunks) for part, chunks in reader.parts()}
    assert parts == contents(NEW)
    assert rebuilt(json.dumps(said_in(update), indent=1).encode() + b"\n") == update


def test_every_byte_counts(update: bytes) -> None:
    """But for the few of a tar header that say nothing, which are covered by its own sum."""
    for at in range(0, len(update), 37):
        with pytest.raises(BadUpdate):
            read(update[:at] + bytes([update[at] ^ 1]) + update[at + 1 :])


def test_not_one_byte_may_be_missing_or_added(update: bytes) -> None:
    for at in range(0, len(update), 211):
        with pytest.raises(BadUpdate):
            read(update[:at])
    for more in (b"\0", b"x", bytes(512)):
        with pytest.raises(BadUpdate, match="more in it"):
            read(update + more)


def test_somebody_elses_is_refused(update: bytes) -> None:
    with pytest.raises(BadUpdate, match="not signed by whoever made this stick"):
        Reader(io.BytesIO(update), Ed25519PrivateKey.generate().public_key())


def test_a_manifest_that_was_changed_is_not_even_read(update: bytes) -> None:
    at = update.index(b"shoestring")
    with pytest.raises(BadUpdate, match="not signed"):
        read(update[:at] + b"S" + update[at + 1 :])


def without(name: str) -> Callable[[Content], None]:
    return lambda said: said.pop(name)


def with_(**values: Any) -> Callable[[Content], None]:
    return lambda said: said.update(values)


def file(index: int, **values: Any) -> Callable[[Content], None]:
    return lambda said: said["files"][index].update(values)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (with_(product="other"), "it is for 'other'"),
        (with_(format=2), "its format is 2"),
        (with_(more=1), "not understood"),
        (without("wire"), "not understood"),
        (with_(version="latest"), "no release"),
        (with_(blocks=3), "not understood"),
        (with_(blocks=True), "not understood"),
        (with_(size=4096 * 4), "not understood"),
        (with_(roothash="00"), "not understood"),
        (with_(roothash=None), "not understood"),
        (with_(state=[2, 1]), "not understood"),
        (with_(state=3), "not understood"),
        (with_(files=[]), "not understood"),
        (lambda said: said["files"].reverse(), "not understood"),
        (file(1, name="../xen"), "not understood"),
        (file(1, bytes=-1), "not understood"),
        (file(1, sha256="x"), "not understood"),
        (file(1, sha256="0" * 64), "the sum of xen is wrong"),
        (file(1, bytes=699), "xen is not as long"),
    ],
)
def test_a_signed_manifest_is_read_in_full(
    change: Callable[[Content], None], why: str, update: bytes
) -> None:
    said = said_in(update)
    change(said)
    with pytest.raises(BadUpdate, match=why):
        read(rebuilt(json.dumps(said).encode()))


def test_files_come_in_their_order(update: bytes) -> None:
    said = json.dumps(said_in(update)).encode()
    with pytest.raises(BadUpdate, match="'initrd' is where root should be"):
        read(rebuilt(said, order=manifest.FILES[::-1]))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_nothing_but_plain_files(kind: bytes, update: bytes) -> None:
    member = tarfile.TarInfo(archive.MANIFEST)
    member.type, member.size = kind, 1 << 40
    with pytest.raises(BadUpdate, match=r"where manifest\.json should be"):
        read(member.tobuf(tarfile.GNU_FORMAT) + update)


def test_a_manifest_without_an_end_is_not_waited_for(update: bytes) -> None:
    with pytest.raises(BadUpdate, match="too long"):
        read(archive.header(archive.MANIFEST, 1 << 30) + update)


def test_formats_meet_where_both_read_one() -> None:
    assert Formats(1, 2).meets(Formats(2, 3)) and Formats(2, 3).meets(Formats(1, 2))
    assert not Formats(1, 2).meets(Formats(3, 4))


def test_the_key_is_made_once_and_is_nobody_elses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "update.pub"
    PACK.main(["--key", str(key), "key", "--public", str(public)])
    assert key.stat().st_mode & 0o7777 == 0o600
    assert "Keep it" in capsys.readouterr().out
    before = (key.read_bytes(), public.read_bytes(), public.stat().st_mtime_ns)
    PACK.main(["--key", str(key), "key", "--public", str(public)])
    assert before == (key.read_bytes(), public.read_bytes(), public.stat().st_mtime_ns)
    assert b"PRIVATE" not in public.read_bytes()


def test_the_command_line_packs_what_the_key_on_the_stick_takes(tmp_path: Path) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "update.pub"
    PACK.main(["--key", str(key), "key", "--public", str(public)])
    given = []
    for name, data in contents(NEW).items():
        (tmp_path / name).write_bytes(data)
        given += [f"--{name}", str(tmp_path / name)]
    output = tmp_path / "shoestring.update"
    slot = slot_of(NEW)
    words = ["--version", NEW, "--roothash", slot.roothash, "--blocks", str(slot.blocks)]
    PACK.main(["--key", str(key), "update", *words, *given, "--output", str(output)])
    with output.open("rb") as made:
        reader = Reader(made, manifest.public_key(public.read_bytes()))
        assert examine(reader).slot == slot


@pytest.mark.parametrize("pem", [b"", b"-----BEGIN PUBLIC KEY-----\n", bytes(range(200, 240))])
def test_a_stick_without_its_key_takes_nothing(pem: bytes) -> None:
    with pytest.raises(OperatorError, match="key that this stick"):
        manifest.public_key(pem)
