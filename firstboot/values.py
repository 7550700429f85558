# SPDX-License-Identifier: MIT
"""The values of answers.yaml, one by one: what a person wrote in, the value out.

Each raises ValueError with the rest of a sentence that begins with the key. Which keys there are,
and on which line something is wrong, is `answers`' to know.
"""

import re
from ipaddress import IPv4Address, IPv4Interface

from firstboot import zones
from haagent.core.model import Policy
from haagent.errors import OperatorError
from haagent.guests.definition import Kind
from haagent.guests.name import checked
from haagent.password import is_kept

SECRET_LENGTH = 32  # hex characters at least: 128 bits
DIFFERENT_DIGITS = 6  # 32 random digits have fewer once in a million million times
LEAST_MEMORY = 64  # MiB
LONGEST_PAUSE = 600  # seconds between two guests
SECTOR = 512  # bytes; of a data disk about which nothing is said

HOST_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")  # RFC 1123, one label, lower case
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
SIZE = re.compile(r"([1-9][0-9]{0,6})([MGT])")
UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
SERIAL = re.compile(r"[!-~]{1,64}")


def node(text: str) -> int:
    if text not in ("0", "1"):
        raise ValueError("should be 0 or 1")
    return int(text)


def host_name(text: str) -> str:
    if not HOST_NAME.fullmatch(text) or text == "localhost":
        raise ValueError(
            f"should hold host names of lower case letters, digits and hyphens, not {text!r}"
        )
    return text


def guest_name(text: str) -> str:
    try:
        return checked(text)
    except OperatorError as error:
        raise ValueError(f"will not do: {error.message} {error.hint}") from None


def serial(text: str) -> str:
    if not SERIAL.fullmatch(text):
        raise ValueError("should be a disk's serial number, as the first page shows it")
    return text


def mac(text: str) -> str:
    """In lower case."""
    found = text.lower()
    if not MAC.fullmatch(found):
        raise ValueError("should be a MAC address, such as 52:54:00:12:34:56")
    # IEEE 802: the lowest bit of the first octet marks an address of a group, not of a card.
    if int(found[:2], 16) & 1 or found == "00:00:00:00:00:00":
        raise ValueError(f"{text} is not the address of a network card")
    return found


def address(text: str) -> IPv4Address:
    try:
        found = IPv4Address(text)
    except ValueError:
        raise ValueError("should be an IPv4 address, such as 192.168.1.11") from None
    if found.is_multicast or found.is_loopback or found.is_unspecified:
        raise ValueError(f"{text} is not the address of a machine")
    return found


def interface(text: str) -> IPv4Interface:
    before, slash, prefix = text.partition("/")
    if not slash or not re.fullmatch("[0-9]{1,2}", prefix) or int(prefix) > 32:
        raise ValueError("should be an IPv4 address with its prefix, such as 192.168.1.11/24")
    return IPv4Interface((address(before), int(prefix)))


def policy(text: str) -> Policy:
    try:
        return Policy(text)
    except ValueError:
        raise ValueError(f"should be one of: {', '.join(Policy)}") from None


def secret(text: str) -> str:
    # safety: no complaint may quote it.
    if not re.fullmatch(f"[0-9a-fA-F]{{{SECRET_LENGTH},256}}", text):
        raise ValueError(f"should be at least {SECRET_LENGTH} hex characters, made at random")
    if len(set(text.lower())) < DIFFERENT_DIGITS:
        raise ValueError("should be made at random: this one is too regular")
    return text.lower()


def key(text: str) -> str:
    # safety: no complaint may quote it.
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ValueError("should be keys of 64 hex characters")
    return text


def password(text: str) -> str:
    # safety: no complaint may quote it; somebody may have written the password itself.
    if not is_kept(text):
        raise ValueError("should be a password as the set-up keeps it, not the password itself")
    return text


def zone(text: str) -> str:
    try:
        return zones.find(text, zones.known())
    except ValueError as error:
        raise ValueError(f"will not do. {error}") from None


def sector(text: str) -> int:
    """Bytes."""
    if text not in ("512", "4096"):
        raise ValueError("should be 512 or 4096, as the first page shows it")
    return int(text)


def yes_or_no(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError("should be true or false")
    return text == "true"


def memory(text: str) -> int:
    """MiB."""
    if not re.fullmatch("[1-9][0-9]{1,6}", text) or int(text) < LEAST_MEMORY:
        raise ValueError(f"should be a number of MiB, at least {LEAST_MEMORY}")
    return int(text)


def vcpus(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{0,2}", text):
        raise ValueError("should be a number of processors")
    return int(text)


def place(text: str) -> int:
    """In the order of starts."""
    if not re.fullmatch("[0-9]{1,2}", text):
        raise ValueError("should be a number from 0 to 99: lower ones start first")
    return int(text)


def number(text: str) -> int:
    """Of a guest's DRBD device."""
    if not re.fullmatch("[0-9]{1,4}", text):
        raise ValueError("should be a number from 0 to 9999, no other guest's")
    return int(text)


def change(text: str) -> int:
    """Of the list of guests."""
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ValueError("should be a number from 0 to 999999")
    return int(text)


def kind(text: str) -> Kind:
    """How Xen runs a guest."""
    if text not in list(Kind):
        raise ValueError(f"should be one of: {', '.join(Kind)}")
    return Kind(text)


def pause(text: str) -> int:
    """Seconds."""
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) > LONGEST_PAUSE:
        raise ValueError(f"should be a number of seconds, at most {LONGEST_PAUSE}")
    return int(text)


def mebibytes(text: str) -> int:
    """Of a disk that another one lies behind."""
    if not re.fullmatch("[1-9][0-9]{0,8}", text):
        raise ValueError("should be a number of MiB")
    return int(text)


def size(text: str) -> int:
    """Bytes."""
    match = SIZE.fullmatch(text)
    if not match:
        raise ValueError("should be a size, such as 512M, 20G or 1T")
    return int(match[1]) * UNITS[match[2]]
