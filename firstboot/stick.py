# SPDX-License-Identifier: MIT
"""The one place on the stick that a person can write to: its ESP, a FAT file system, and on it
answers.yaml. Reads the answers, and puts them away without the secret and the password.

It is mounted only for the moment that it is needed, and written to only at the end of a set-up.
"""

import re
from contextlib import AbstractContextManager
from pathlib import Path

import yaml

from firstboot import answers, files
from haagent import mounting
from haagent.errors import OperatorError
from haagent.run import Run, run

MOUNT_POINT = Path("/run/shoestring/esp")
RETIRED = "answers.done.yaml"
ERASED = "erased"
PRIVATE = ("secret", "password")  # settings whose values stay nowhere on the stick


def mounted(
    partition: str, *, is_writable: bool = False, run: Run = run
) -> AbstractContextManager[Path]:
    """The ESP /dev/PARTITION as a folder. Raises ToolError."""
    return mounting.mounted(partition, "vfat", MOUNT_POINT, is_writable=is_writable, run=run)


def read_answers(folder: Path) -> str | None:
    """The text of answers.yaml, None if there is none. Raises OperatorError."""
    path = folder / answers.FILE
    try:
        with path.open("rb") as file:
            data = file.read(4 * answers.LONGEST)
        return data.decode("utf-8-sig")  # some editors begin a file with a mark
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise answers.AnswersError(
            [answers.Complaint(1, "this is not plain text in UTF-8")]
        ) from None
    except OSError as error:
        raise OperatorError(
            f"{answers.FILE} on the stick cannot be read: {error.strerror}",
            "Write it again, or use another stick.",
        ) from error


def retire_answers(folder: Path) -> None:
    """Replaces answers.yaml by answers.done.yaml without the secret. Raises OperatorError.

    Can be cut anywhere and repeated. The secret is overwritten in its place before its file is
    deleted: deleting alone would leave it on the stick for everybody who can read one.
    """
    path = folder / answers.FILE
    if not path.exists():
        return
    try:
        data = path.read_bytes()
        without = _without_secret(data)
        if without is not None:
            files.write(folder / RETIRED, without, 0o600)
        _wipe(path)
    except OSError as error:
        raise OperatorError(
            f"The secret cannot be erased from the stick: {error.strerror}",
            f"The pair works. Delete {answers.FILE} on another machine.",
        ) from error


def forget_answers(folder: Path) -> None:
    """Removes answers.done.yaml, if it is there. Raises OperatorError. Can be repeated."""
    path = folder / RETIRED
    try:
        if path.exists():
            _wipe(path)
    except OSError as error:
        raise OperatorError(
            f"{RETIRED} cannot be removed from the stick: {error.strerror}",
            "Delete it on another machine.",
        ) from error


def _wipe(path: Path) -> None:
    """Overwrites PATH in its place, then removes it. Raises OSError."""
    length = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\0" * length)
    files.sync(path)
    files.remove(path)


def _without_secret(data: bytes) -> bytes | None:
    """DATA with every occurrence of the secret and of the password's hash replaced; None if there
    is nothing that these could be told by, as in a file that was overwritten half.
    """
    try:
        root = yaml.compose(data.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except (UnicodeDecodeError, yaml.YAMLError):
        return None
    entries = root.value if isinstance(root, yaml.MappingNode) else []
    found = {
        key.value: value.value
        for key, value in entries
        if isinstance(value, yaml.ScalarNode) and key.value in PRIVATE
    }
    if not found.get("secret"):
        return None
    for text in filter(None, found.values()):
        pattern = re.compile(re.escape(text.encode()), re.IGNORECASE)
        data, count = pattern.subn(ERASED.encode(), data)
        if not count:
            return None  # it is written with escapes: nobody can say where it is
    return data
