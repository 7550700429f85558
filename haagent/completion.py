# SPDX-License-Identifier: MIT
"""What bash completes of our command line, in the root shell. Pure.

To start our own program for each Tab would take seconds on a slow machine. So the image has all
that is known beforehand as a file, and only the names of guests are asked for, of the agent. Run as
a program it prints that file, image/mkosi.extra/usr/lib/shoestring/completion.
"""

import argparse
from collections.abc import Iterator

from haagent.command import CommandLine
from haagent.control import SOCKET, Ask

WITHIN = 1.0  # seconds for the agent's answer; then there are no names

HEAD = """\
# SPDX-License-Identifier: MIT
# What bash completes of `shoestring`. It asks nobody but the agent, and writes nothing.
# Made by `python -m haagent.completion`; a test compares it with the command line.

# What may come after each command. A value stands behind its option; in upper case is what kind of
# word it is.
declare -A _shoestring_words=(
"""
GUESTS = f"""\
)

_shoestring_guests() {{
    python3 -IS - 2>/dev/null <<'END'
import json, socket
door = socket.socket(socket.AF_UNIX)
door.settimeout({WITHIN})
door.connect("{SOCKET}")
door.sendall(b'{{"ask": "{Ask.SNAPSHOT}"}}\\n')
for guest in json.loads(door.makefile().readline())["snapshot"]["guests"]:
    print(guest["name"])
END
}}
"""
TAIL = """\

_shoestring() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local typed=shoestring one kinds= kind found
    for one in "${COMP_WORDS[@]:1:COMP_CWORD - 1}"; do
        [ -n "${_shoestring_words["$typed $one"]-}" ] || break
        typed+=" $one"
    done
    for one in ${_shoestring_words["$typed"]}; do
        case $one in
            "$before":*) kinds=${one#*:} && break ;;
            -*) [[ $word != -* ]] || kinds+=" ${one%%:*}" ;;
            *) [[ $word == -* ]] || kinds+=" $one" ;;
        esac
    done
    COMPREPLY=()
    for kind in ${kinds//|/ }; do
        case $kind in
            GUEST) found=$(_shoestring_guests) ;;
            FILE | IMAGE) compopt -o filenames && found=$(compgen -f -- "$word") ;;
            FOLDER) compopt -o filenames && found=$(compgen -d -- "$word") ;;
            *[a-z]*) found=$kind ;;
            *) continue ;;
        esac
        while IFS= read -r one; do
            [[ -z $one || $one != "$word"* ]] || COMPREPLY+=("$one")
        done <<<"$found"
    done
}

complete -F _shoestring shoestring
"""


def script(program: CommandLine) -> str:
    """The file."""
    words = (f'    ["{typed}"]="{" ".join(_words(parser))}"\n' for typed, parser in program.all())
    return HEAD + "".join(words) + GUESTS + TAIL


def _words(parser: argparse.ArgumentParser) -> Iterator[str]:
    """What may come after a command, of its PARSER."""
    for action in parser._actions:
        value = "|".join(action.choices or ()) or str(action.metavar or action.dest.upper())
        if not action.option_strings:
            yield value
        else:
            option = action.option_strings[-1]
            yield option if action.nargs == 0 else f"{option}:{value}"


def main() -> None:
    from haagent.shoestring import command_line  # whoever reads what is above needs none of it

    print(script(command_line()), end="")


if __name__ == "__main__":
    main()
