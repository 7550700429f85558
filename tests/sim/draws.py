# SPDX-License-Identifier: MIT
"""Random scripts: all that will happen is drawn before anything does.

A script has a theme, faults that hurt one another where they are at work together, and some more at
any moment. Half of what can be aimed is aimed at whoever holds the guest.
"""

from collections.abc import Callable, Mapping
from random import Random

from haagent.core.model import Path, Policy
from haagent.core.wish import End, Target
from tests.sim.faults import Value
from tests.sim.scripts import Script, Step

Arguments = dict[str, Value]

PATHS = (str(Path.CROSSOVER), str(Path.LAN))
KINDS: Mapping[str, tuple[str, ...]] = {
    str(Path.CROSSOVER): ("HELLO", "HEARTBEAT", "DRBD", "DRBD"),
    str(Path.LAN): ("HELLO", "HEARTBEAT", "PROBE"),
}
FOR = (0.6, 1.5, 3.0, 6.0, 12.0, 20.0)  # seconds until something is mended
BOOTS = (8.0, 10.0, 12.0, 18.0)  # seconds; a fast one is back before it is taken for dead
SHARE_MENDED = 0.65  # of what can be mended, before the end


def _who(random: Random) -> str:
    return random.choice(
        ("holder", "other", "other", "other", "other")
    )  # the themes aim at the holder


def _sender(random: Random) -> str:
    return random.choice(("both", "both", "holder", "other"))


def _cut(random: Random) -> Arguments:
    return {"path": random.choice(PATHS), "who": _sender(random)}


def _filter(random: Random) -> Arguments:
    path = random.choice(PATHS)
    return {"path": path, "kind": random.choice(KINDS[path]), "who": _sender(random)}


def _delay(random: Random) -> Arguments:
    path = random.choice((*PATHS, str(Path.HEARTBEAT)))
    return {"path": path, "who": _who(random), "seconds": random.choice((0.2, 1.0, 2.0, 8.0))}


def _double(random: Random) -> Arguments:
    return {"path": random.choice(PATHS), "who": _who(random)}


def _replay(random: Random) -> Arguments:
    path = random.choice((*PATHS, str(Path.HEARTBEAT)))
    back = round(random.uniform(1.0, 60.0), 2)
    return {"path": path, "who": _who(random), "back": back, "lasts": random.choice((0.6, 3.0))}


def _somebody(random: Random) -> Arguments:
    return {"who": _who(random)}


def _nothing(random: Random) -> Arguments:
    return {}


def _guest(random: Random) -> Arguments:
    return {"guest": random.choice("ggh")}


def _stall(random: Random) -> Arguments:
    seconds = random.choice((random.uniform(0.5, 1.9), random.uniform(2.0, 25.0)))
    return {"who": _who(random), "seconds": round(seconds, 2)}


def _dying_agent(random: Random) -> Arguments:
    seconds, every = random.uniform(10.0, 40.0), random.uniform(0.5, 9.0)
    return {"who": _who(random), "seconds": round(seconds, 2), "every": round(every, 2)}


def _blind(random: Random) -> Arguments:
    return {"who": _who(random), "tool": random.choice(("Xen", "Xen", "DRBD"))}


def _freeze(random: Random) -> Arguments:
    return {"who": _who(random), "seconds": round(random.uniform(3.0, 30.0), 2)}


def _brown_out(random: Random) -> Arguments:
    return {name: round(random.uniform(8.0, 30.0), 2) for name in ("first", "second")}


def _save(random: Random) -> Arguments:
    return {"number": random.randint(1, 6), "finds": random.choice(("old", "new", "new"))}


def _move(random: Random) -> Arguments:
    who = random.choice(("holder", "holder", "other"))
    return {"who": who, "guest": random.choice("ggh")}


def _end(random: Random) -> Arguments:
    how = random.choice((End.CRASH, End.CRASH, End.REBOOT, End.POWEROFF))
    return {"guest": random.choice("ggh"), "how": str(how)}


def _want(random: Random) -> Arguments:
    target = random.choice((Target.STOPPED, Target.STOPPED, Target.STARTED))
    return {"who": _who(random), "guest": random.choice("ggh"), "target": str(target)}


def _choose(random: Random) -> Arguments:
    return {
        "who": _who(random),
        "counts": _who(random),
        "guest": random.choice("ggh"),
        "keeps": random.random() < 0.7,
    }


def _confirm(random: Random) -> Arguments:
    return {"who": random.choice(("other", "other", "holder")), "guest": random.choice("ggh")}


def _addresses(random: Random) -> Arguments:
    return {"who": _who(random), "bad": random.choice(("nothing", "nothing", "gateway", "LAN"))}


def _release(random: Random) -> Arguments:
    to = random.choice(("now", "before"))
    return {"who": _who(random), "to": to, "ordered": random.random() < 0.7}


# How often each is drawn, how its arguments are, and whether it can be mended before all is.
DRAWN: Mapping[str, tuple[int, Callable[[Random], Arguments], bool]] = {
    "cut": (16, _cut, True),
    "hole": (0, _nothing, True),
    "filter": (8, _filter, True),
    "delay": (4, _delay, True),
    "double": (2, _double, True),
    "replay": (4, _replay, False),
    "mirror": (4, _guest, False),
    "cards": (8, _somebody, True),
    "lan-cable": (6, _somebody, True),
    "gateway": (5, _nothing, True),
    "deaf-gateway": (3, _somebody, True),
    "ghost": (1, _nothing, True),
    "power": (14, _somebody, True),
    "reset": (5, _somebody, False),
    "brown-out": (2, _brown_out, False),
    "cut-at-save": (3, _save, True),
    "stall": (6, _stall, False),
    "stall-agent": (6, _stall, False),
    "kill-agent": (4, _somebody, False),
    "dying-agent": (2, _dying_agent, False),
    "hanging-xen": (2, _somebody, True),
    "blind": (2, _blind, True),
    "zombies": (1, _somebody, False),
    "freeze": (1, _freeze, False),
    "clocks": (1, _stall, False),
    "crash": (1, _guest, False),
    "end": (4, _end, False),
    "full": (2, _somebody, True),
    "stick": (1, _somebody, True),
    "full-stick": (1, _somebody, True),
    "damaged-state": (1, _somebody, True),
    "disk": (1, _somebody, True),
    "hanging-disk": (1, _somebody, True),
    "leave": (4, _somebody, False),
    "move": (6, _move, False),
    "want": (3, _want, False),
    "restart": (1, _move, False),
    "maintain": (2, _somebody, True),
    "choose": (2, _choose, False),
    "confirm": (1, _confirm, False),
    "change-lan": (1, _addresses, False),
}
ANY = tuple(name for name, (weight, _, _) in DRAWN.items() for _ in range(weight))
CUTTING = ("cut", "cut", "filter", "cards", "lan-cable", "gateway", "deaf-gateway")
STOPPING = ("power", "power", "power", "cards", "cards", "reset", "stall", "stall-agent")


def one_of(random: Random, at: float, names: tuple[str, ...] = ANY) -> Step:
    """Something that happens then."""
    what = random.choice(names)
    _, arguments, is_mendable = DRAWN[what]
    is_mended = is_mendable and random.random() < SHARE_MENDED
    lasts = random.choice(FOR) if is_mended else None
    return Step(round(at, 2), what, arguments(random), lasts)


def _step(at: float, what: str, lasts: float | None = None, **arguments: Value) -> Step:
    return Step(round(at, 2), what, arguments, lasts and round(lasts, 2))


Theme = Callable[[Random], list[Step]]


def _dies(random: Random) -> list[Step]:
    """One dies, mostly the holder, or nearly so, and something else fails around then or later."""
    what = random.choice(("power", "power", "power", "power", "cards", "cards", "lone"))
    if what == "lone":  # cut off from the other and from the gateway
        steps = [
            _step(0.5, "cut", path=PATHS[0], who="both"),
            _step(0.5 + random.uniform(0.0, 3.0), "lan-cable", who="holder"),
        ]
    else:
        lasts = random.choice((None, None, None, 20.0))
        who = random.choice(("holder", "holder", "holder", "holder", "holder", "other"))
        steps = [_step(random.uniform(0.3, 1.5), what, lasts, who=who)]
    for _ in range(random.choice((0, 0, 0, 0, 1, 1, 2))):
        steps.append(one_of(random, random.uniform(0.0, 18.0)))
    return steps


def _anything(random: Random) -> list[Step]:
    count = random.choice((1, 1, 1, 2, 2, 3))
    return [one_of(random, random.uniform(0.0, 4.0 * count)) for _ in range(count)]


def _lone_writing(random: Random) -> list[Step]:
    """One is cut off or stands still, the other writes alone and dies, the first comes back."""
    away = random.uniform(8.0, 25.0)
    steps = [_step(0.5, "cards", away, who="other")]
    if random.random() < 0.3:
        steps = [_step(0.5, "stall", who="other", seconds=round(away, 2))]
    return [*steps, _step(away + random.uniform(-8.0, 4.0), "power", who="holder")]


def _paths_apart(random: Random) -> list[Step]:
    """Both ways between the two are lost, one after the other; both still see the gateway."""
    first, second = random.sample(PATHS, 2)
    what: Arguments = {"path": first, "who": _sender(random)}
    steps = [
        Step(0.5, "cut", what),
        _step(0.5 + random.uniform(2.3, 12.0), "cut", path=second, who="both"),
    ]
    if random.random() < 0.5:
        steps.append(_step(random.uniform(10.0, 30.0), "power", who=_who(random)))
    return steps


def _hole(random: Random) -> list[Step]:
    """Both ways in one moment, and perhaps something after it."""
    steps = [one_of(random, 0.5, ("hole",))]
    return steps + [one_of(random, random.uniform(0.5, 25.0)) for _ in range(random.choice((0, 1)))]


def _re_arm(random: Random) -> list[Step]:
    """The gateway is gone for a while, and something fails while the pair re-arms."""
    back = random.uniform(1.0, 12.0)
    steps = [_step(0.5, "gateway", back)]
    steps.append(one_of(random, max(0.0, back + random.uniform(-3.0, 6.0)), (*CUTTING, *STOPPING)))
    if random.random() < 0.5:
        steps.append(_step(back + random.uniform(3.0, 20.0), "power", who=_who(random)))
    return steps


def _moving_cables(random: Random) -> list[Step]:
    """One is cut off; then the other loses the LAN and the first has it again."""
    who, other = random.sample("ab", 2)
    moment = random.choice((random.uniform(0.8, 4.5), random.uniform(2.0, 30.0)))
    return [
        _step(0.5, "cards", who=who),
        _step(moment, "lan-cable", who=other),
        _step(moment, "lan-card", who=who),
    ]


def _at_farewell(random: Random) -> list[Step]:
    """Something fails while one signs off, for good or to the other."""
    what = random.choice(("leave", "move", "move", "maintain"))
    who: Arguments = {"who": "holder", **({"guest": "g"} if what == "move" else {})}
    steps = [Step(0.5, what, who)]
    for _ in range(random.choice((1, 1, 2, 3))):
        names = random.choice((ANY, STOPPING, CUTTING, ("stall-agent",)))
        steps.append(one_of(random, random.uniform(0.5, 7.0), names))
    return steps


def _after_farewell(random: Random) -> list[Step]:
    """The mirror breaks before the farewell is judged, both are lost, and the LAN changes sides."""
    stalls = random.uniform(1.5, 3.5)
    loses = stalls + random.uniform(0.2, 1.2)
    swaps = loses + random.uniform(1.0, 2.2)
    return [
        _step(0.5, "move", who="a", guest="g"),
        _step(stalls, "stall-agent", who="b", seconds=round(random.uniform(0.8, 1.9), 2)),
        _step(loses, "cards", who="a"),
        _step(loses, "mirror", guest="g"),
        _step(swaps, "lan-card", who="a"),
        _step(swaps, "lan-cable", who="b"),
    ]


def _off_and_on(random: Random) -> list[Step]:
    """A guest is stopped, or switches itself off, and perhaps started again, while more fails."""
    steps = [one_of(random, 0.5, ("end", "want"))]
    steps += [one_of(random, random.uniform(0.5, 20.0), ("want", "end"))]
    for _ in range(random.choice((0, 1, 1, 2))):
        names = random.choice((ANY, STOPPING, CUTTING, ("leave", "move", "stick", "maintain")))
        steps.append(one_of(random, random.uniform(0.0, 20.0), names))
    return steps


def _crashes(random: Random) -> list[Step]:
    """A guest crashes again and again, while something fails."""
    between = random.choice((0.3, 2.0, 4.0))
    count = random.choice((3, 4, 5, 6))
    steps = [_step(0.5 + between * n, "end", guest="g", how=str(End.CRASH)) for n in range(count)]
    return [*steps, one_of(random, random.uniform(0.0, 15.0))]


def _on_tour(random: Random) -> list[Step]:
    """A guest is moved again and again, sooner than it is up, while something fails."""
    between = random.choice((3, 5))
    steps = [_step(0.5 + between * n, "move", who=random.choice("ab"), guest="g") for n in range(4)]
    return [*steps, one_of(random, random.uniform(0.0, 15.0))]


def _without_a_stick(random: Random) -> list[Step]:
    """A stick is lost, and something fails when that is known, and again."""
    steps = [Step(0.5, "stick", {"who": _who(random)}, random.choice((None, 6.0, 40.0)))]
    for _ in range(random.choice((1, 2, 2))):
        steps.append(one_of(random, random.uniform(0.0, 40.0)))
    return steps


def _a_disk_fails(random: Random) -> list[Step]:
    """A data disk fails, the other machine's is all there is, and more fails or is restarted."""
    who = random.choice(("holder", "holder", "other"))
    steps = [Step(0.5, "disk", {"who": who}, random.choice((None, 4.0, 12.0, 20.0)))]
    for _ in range(random.choice((1, 1, 2, 3))):
        names = random.choice((ANY, STOPPING, CUTTING, ("leave", "move", "disk")))
        steps.append(one_of(random, random.uniform(0.5, 25.0), names))
    return steps


def _a_disk_hangs(random: Random) -> list[Step]:
    """A data disk hangs, for less than the limit, longer or for good, and more fails meanwhile."""
    lasts = random.choice((None, None, 8.0, 12.0, 16.0, 24.0, 40.0))
    steps = [Step(0.5, "hanging-disk", {"who": _who(random)}, lasts)]
    for _ in range(random.choice((0, 1, 1, 2, 3))):
        names = random.choice((ANY, STOPPING, CUTTING, ("leave", "move", "disk", "hanging-disk")))
        steps.append(one_of(random, random.uniform(0.0, 30.0), names))
    return steps


def _old_words(random: Random) -> list[Step]:
    """A machine dies or starts anew, and what it said before is heard again."""
    steps = [_step(0.5, random.choice(("power", "reset", "leave")), who=_who(random))]
    if random.random() < 0.5:
        steps.append(_step(random.uniform(0.5, 20.0), "reset", who=_who(random)))
    for _ in range(random.choice((1, 2))):
        steps.append(one_of(random, random.uniform(1.0, 30.0), ("replay",)))
    return steps


def _a_persons_word(random: Random) -> list[Step]:
    """Something is lost, and a person starts the guest in spite of all, perhaps too soon."""
    steps = [one_of(random, 0.5, (*STOPPING, *CUTTING))]
    steps.append(Step(round(random.uniform(1.0, 30.0), 2), "confirm", _confirm(random)))
    return steps


THEMES: Mapping[Theme, int] = {
    _dies: 52,
    _anything: 28,
    _lone_writing: 4,
    _paths_apart: 3,
    _hole: 1,
    _re_arm: 3,
    _moving_cables: 3,
    _at_farewell: 6,
    _after_farewell: 1,
    _on_tour: 1,
    _off_and_on: 2,
    _crashes: 1,
    _without_a_stick: 1,
    _a_disk_fails: 2,
    _a_disk_hangs: 2,
    _old_words: 2,
    _a_persons_word: 2,
}
# Seconds after the last step, until all is mended: what harm takes a T_take, or a second one.
WAITS = (0.5, 3.0, 6.0, 12.0)
LONG_WAITS: Mapping[Theme, tuple[float, ...]] = {
    _dies: (17.0, 18.0, 18.5, 20.0),
    _lone_writing: (12.0, 24.0, 28.0),
    _paths_apart: (*WAITS, 18.0),
    _moving_cables: (12.0, 24.0),
    _old_words: (6.0, 18.0),
    _a_disk_fails: (6.0, 18.0, 30.0),
    _a_disk_hangs: (6.0, 18.0, 30.0),
}
WEIGHTED = tuple(theme for theme, weight in THEMES.items() for _ in range(weight))


def draw(seed: int, *, more: tuple[str, ...] = (), is_mixed: bool = False) -> Script:
    """The script of SEED. Of MORE one is added at any moment; IS_MIXED: of two releases."""
    random = Random(seed)
    guests = {"g": 0} if random.random() < 0.75 else {"g": 0, "h": 1}
    policy = Policy.AUTOMATIC if random.random() < 0.9 else Policy.WAIT
    boots, speak = random.choice(BOOTS), None
    theme = random.choice(WEIGHTED)
    steps = theme(random)
    if more:
        steps.append(one_of(random, random.uniform(0.0, 10.0), more))
    if is_mixed:
        speak = (random.choice(("now", "before")), random.choice(("now", "before")))
        moment = round(random.uniform(0.0, 10.0), 2)
        steps.append(Step(moment, "release", _release(random)))
    steps = [step for step in steps if step.arguments.get("guest", "g") in guests]
    last = max((step.at for step in steps), default=0.0)
    mended = last + random.choice(LONG_WAITS.get(theme, WAITS))
    in_order = tuple(sorted(steps, key=lambda step: step.at))
    return Script(seed, guests, in_order, round(mended, 2), policy, boots, speak)
