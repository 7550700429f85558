# SPDX-License-Identifier: MIT
"""What pytest does with the scenarios, on scenarios that boot nothing."""

import subprocess
from pathlib import Path

import pytest

from tests.vm.runs import results
from tests.vm.runs.record import Outcome, Record

pytest_plugins = "pytester"

CONFTEST = """\
from pathlib import Path

import pytest

from tests.vm.runs import hooks

HERE = Path(__file__).parent


def pytest_addoption(parser):
    hooks.add_options(parser)


def pytest_configure(config):
    images = (HERE / "one.raw", HERE / "two.raw")
    runs = hooks.Runs(HERE, HERE / "results.jsonl", images, HERE / "hashes.json", 4.0, HERE)
    config.addinivalue_line("markers", "row(name, ...): rows")
    config.pluginmanager.register(runs, "runs")


@pytest.fixture(scope="session")
def accel():
    return "tcg"


@pytest.fixture
def lab(accel, request):
    yield "lab"
    request.node.stash[hooks.BOOTED] = frozenset({HERE / "one.raw"})


@pytest.fixture
def fails(request):
    request.node.stash[hooks.KEPT] = HERE / "failed" / request.node.name
"""

SCENARIOS = """\
import pytest

SEED = 7


@pytest.mark.row("A1", "A2")
def test_passes(lab):
    pass


@pytest.mark.row("A1")
def test_fails(lab, fails):
    assert False, "two writers\\nand more"


@pytest.mark.row("B1")
def test_is_skipped():
    pytest.skip("no disk for it")


@pytest.mark.skip(reason="not today")
def test_is_marked():
    pass


@pytest.fixture
def breaks(lab):
    yield
    raise RuntimeError("it did not end")


@pytest.mark.parametrize("seed", [3])
def test_ends_badly(breaks, seed):
    pass


def test_says_its_seed(record_property):
    record_property("seed", 11)
"""

SPOILED = """\
import pytest

from tests.vm.runs import hooks


@pytest.fixture
def full(request):
    request.node.stash[hooks.SPOILED] = "the disk of this host is full"
    yield
    raise RuntimeError("nothing could be put away")


def test_fails(full):
    assert False, "the guest did not come back"


def test_passes(full):
    pass
"""


@pytest.fixture
def world(pytester: pytest.Pytester) -> pytest.Pytester:
    """A tree with scenarios, all of it in a commit."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=SCENARIOS)
    for name in ("one", "two"):
        pytester.path.joinpath(f"{name}.raw").write_text(name)
    ignored = "__pycache__\nresults.jsonl\nhashes.json\n*.raw\n"
    pytester.path.joinpath(".gitignore").write_text(ignored)
    who = ("-c", "user.name=n", "-c", "user.email=e")
    for argv in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *argv], cwd=pytester.path, check=True)
    return pytester


def run(world: pytest.Pytester, *argv: str) -> pytest.RunResult:
    return world.runpytest_inprocess("-p", "no:cacheprovider", "-p", "no:xdist", *argv)


def recorded(world: pytest.Pytester) -> dict[str, Record]:
    return {one.name.partition("::")[2]: one for one in results.read(world.path / "results.jsonl")}


def test_each_scenario_leaves_a_line(world: pytest.Pytester) -> None:
    run(world)
    found = recorded(world)
    assert {name: (one.outcome, one.reason) for name, one in found.items()} == {
        "test_passes": (Outcome.PASSED, ""),
        "test_fails": (Outcome.FAILED, "AssertionError: two writers"),
        "test_is_skipped": (Outcome.SKIPPED, "no disk for it"),
        "test_is_marked": (Outcome.SKIPPED, "not today"),
        "test_ends_badly[3]": (Outcome.FAILED, "RuntimeError: it did not end"),
        "test_says_its_seed": (Outcome.PASSED, ""),
    }
    one = found["test_passes"]
    assert (one.rows, one.seed, one.accel, one.scale) == (("A1", "A2"), 7, "tcg", 4.0)
    assert list(one.images) == ["one.raw"] and not one.is_dirty and one.kept == ""
    # It made no lab: any image may have been looked at.
    assert list(found["test_says_its_seed"].images) == ["one.raw", "two.raw"]
    assert found["test_says_its_seed"].accel == ""
    assert [found[name].seed for name in ("test_ends_badly[3]", "test_says_its_seed")] == [3, 11]
    assert found["test_fails"].kept == "failed/test_fails"


def test_what_this_host_spoiled_says_nothing_of_the_pair(world: pytest.Pytester) -> None:
    """However it ended; and nothing that came afterwards makes it a failure."""
    file = world.makepyfile(test_spoiled=SPOILED)
    run(world, str(file))
    assert {name: (one.outcome, one.reason) for name, one in recorded(world).items()} == {
        "test_fails": (Outcome.SPOILED, "the disk of this host is full"),
        "test_passes": (Outcome.SPOILED, "the disk of this host is full"),
    }


def test_what_passed_is_left_out_until_something_changes(world: pytest.Pytester) -> None:
    run(world)
    again = run(world, "--leave-out-passed")
    again.assert_outcomes(failed=1, skipped=2, errors=1, passed=1, deselected=2)
    again.stdout.fnmatch_lines(
        ["left out, for it passed with this commit*: test_it.py::test_pass*"]
    )
    # Without the word everything is run again.
    run(world).assert_outcomes(failed=1, skipped=2, errors=1, passed=3)
    # Another image: only those that may have used it.
    world.path.joinpath("two.raw").write_text("another")
    one = run(world, "--leave-out-passed")
    one.stdout.fnmatch_lines(["left out, for it passed with this commit*: test_it.py::test_pass*"])
    one.assert_outcomes(failed=1, skipped=2, errors=1, passed=2, deselected=1)


def test_a_changed_tree_leaves_nothing_out(world: pytest.Pytester) -> None:
    run(world)
    world.path.joinpath("new").write_text("")
    again = run(world, "--leave-out-passed")
    again.assert_outcomes(failed=1, skipped=2, errors=1, passed=3)
    again.stdout.fnmatch_lines(["nothing is left out: the tree has changes that no commit has"])
    assert recorded(world)["test_passes"].is_dirty


def test_rows_and_shards_choose_together(world: pytest.Pytester) -> None:
    run(world, "--row", "A1").assert_outcomes(passed=1, failed=1, deselected=4)
    run(world, "--row", "A2,B1").assert_outcomes(passed=1, skipped=1, deselected=4)
    ran = []
    for number in (1, 2):
        found = run(world, "--row", "A1", "--shard", f"{number}/2")
        ran.append(found.parseoutcomes().get("deselected", 0))
    assert sum(6 - deselected for deselected in ran) == 2


def test_nothing_left_to_run_is_no_failure(world: pytest.Pytester) -> None:
    run(world, "--row", "A2")
    again = run(world, "--row", "A2", "--leave-out-passed")
    assert again.ret == pytest.ExitCode.OK
    shards = [run(world, "--row", "A2", "--shard", f"{number}/3") for number in (1, 2, 3)]
    assert all(one.ret == pytest.ExitCode.OK for one in shards)
    assert sum("no scenario is in this shard" in one.stdout.str() for one in shards) == 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--row", "A99"), "What was asked for names row A99, which tests/vm/rows.txt does not"),
        (("--row", "H9"), "No scenario shows row H9 yet."),
        (("--shard", "3/2"), "is no shard; 2/5 is the second of five."),
    ],
)
def test_a_bad_choice_is_a_sentence(
    world: pytest.Pytester, argv: tuple[str, ...], said: str
) -> None:
    found = run(world, *argv)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert said in found.stderr.str() and "Traceback" not in found.stderr.str()


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ('row("A1", "Z9")', "test_it.py::test_bad names row Z9, which tests/vm/rows.txt does not"),
        ("row", "test_it.py::test_bad is marked with a row that has no name."),
    ],
)
def test_a_bad_mark_is_a_sentence(world: pytest.Pytester, mark: str, said: str) -> None:
    bad = f"import pytest\n@pytest.mark.{mark}\ndef test_bad(): pass\n"
    world.path.joinpath("test_it.py").write_text(bad)
    found = run(world)
    assert found.ret == pytest.ExitCode.USAGE_ERROR
    assert said in found.stderr.str()


def test_an_interrupted_session_keeps_what_it_had(
    world: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "def test_first(): pass\ndef test_second(): raise KeyboardInterrupt\n"
    world.path.joinpath("test_it.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    found = world.runpytest_subprocess("-p", "no:cacheprovider")
    assert found.ret == pytest.ExitCode.INTERRUPTED
    assert list(recorded(world)) == ["test_first"]
    assert Path(world.path / "results.jsonl").read_bytes().endswith(b"\n")
