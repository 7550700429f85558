# SPDX-License-Identifier: MIT
"""`haagent update-door`: takes an update from the other machine of the pair, and restarts with it.

systemd starts one for each call, with the call as its standard input. It judges for itself whether
this machine may be updated, as if a person had asked here; the caller may not know everything.
"""

import socket
import sys
from dataclasses import asdict
from pathlib import Path

from haagent import config
from haagent.command import Exit, Places
from haagent.errors import OperatorError, PeerError, ShoestringError
from haagent.update import act, machine, news, source
from haagent.update.machine import Ground
from haagent.update.medium import standing
from haagent.update.talk import FORMAT, Talk

NAME = "from-the-peer.update"
LIST = "list"  # what firstboot/roster/door.py asks about


def answer(places: Places, ground: Ground | None = None, call: socket.socket | None = None) -> Exit:
    """One CALL, from its beginning to its end. Raises PeerError if it broke off."""
    key = config.read_key(config.load(places.file, places.cmdline).key_file)
    with Talk(call or socket.socket(fileno=sys.stdin.fileno()), key, is_caller=False) as talk:
        must_restart = _serve(talk, places, ground or Ground())
    if must_restart:
        print("This machine restarts with it.", flush=True)
        machine.restart(places)
    return Exit.PROTECTED


def _serve(talk: Talk, places: Places, ground: Ground) -> bool:
    """Whether something was installed, so that this machine is to be restarted."""
    request = talk.hear()
    if request.get("ask") == LIST:
        from firstboot.roster import door  # no update needs the set-up's part of the house

        door.serve_here(talk, request, places)
        return False
    try:
        match request:
            case {"format": int(), "ask": "standing"}:
                talk.say(_standing(places, ground))
                return False
            case {"format": int(), "ask": "install", "size": int(size), "older": bool(older)}:
                _install(talk, size, places, ground, is_older_wanted=older)
                return True
        raise OperatorError(
            f"This machine's release does not know what it is asked for (format {FORMAT}).",
            "`shoestring update --here`, typed at it, updates it alone.",
        )
    except PeerError:
        raise  # nobody listens any more
    except ShoestringError as error:
        hint = error.hint if isinstance(error, OperatorError) else "Its journal may say more."
        talk.say({"refused": str(error), "do": hint})
        raise


def _standing(places: Places, ground: Ground) -> dict[str, object]:
    with ground.medium() as medium:
        found = standing(medium, places.cmdline.read_text())
    return {**asdict(news.of(found)), "is_on_trial": found.is_on_trial}


def _install(
    talk: Talk, size: int, places: Places, ground: Ground, *, is_older_wanted: bool
) -> None:
    act.refuse(machine.of_machine(places, ground))
    key = act.signers_key(ground)
    path = ground.fetched / NAME
    said = (0, "")

    def progress(what: str, share: float) -> None:
        nonlocal said
        if (now := (int(share * 100), what)) != said:
            said = now
            talk.say({"doing": what, "share": share})

    try:
        _receive(talk, size, path)
        manifest = act.examine(path, key, progress)
        act.fits(manifest, places, ground, is_older_wanted=is_older_wanted)
        # A guest may have come meanwhile.
        act.refuse(machine.of_machine(places, ground))
        act.put_in(path, key, manifest, places, ground, progress)
    finally:
        path.unlink(missing_ok=True)
    print(f"{manifest.release} came from the other machine, and is on the stick.", flush=True)
    talk.say({"installed": str(manifest.release)})


def _receive(talk: Talk, size: int, path: Path) -> None:
    """SIZE bytes of a file, as PATH. Raises OperatorError if there is no room for them."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        room = source.room(path.parent)
        if not 0 < size <= room:
            raise OperatorError(
                f"The update has {size >> 20} MiB, and the stick here has room for {room >> 20}.",
                "Nothing was changed. A larger stick, or `shoestring install`, gives more room.",
            )
        with path.open("xb") as file:
            path.chmod(0o600)
            talk.say({"ready": True})
            while size > 0:
                piece = talk.receive()
                file.write(piece)
                size -= len(piece)
    except OSError as error:
        raise OperatorError(
            f"The update cannot be kept on the stick here: {error.strerror or error}.",
            "Nothing was changed. If this comes back, replace the stick.",
        ) from error
