"""Every path of cases/paths.toml against the real jail, opened in both ways, with canaries around it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmspell_kernel.errors import SpellError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.opening import Opener

from .tree import CALLS, INSIDE, SECRET, Tree

FEWEST = 120


class Case(NamedTuple):
    name: str
    written_path: Any
    rules: FilePolicy
    read: str
    write: str
    needs: str

    def path(self, tree: Tree) -> str:
        pieces = [self.written_path] if isinstance(self.written_path, str) else self.written_path
        text = "".join(piece if isinstance(piece, str) else piece[0] * piece[1] for piece in pieces)
        return text.replace("{OUTSIDE}", str(tree.outside)).replace("{ROOT}", str(tree.root))


def _cases() -> list[Case]:
    read: Mapping[str, Any] = tomllib.loads((Path(__file__).parent / "cases" / "paths.toml").read_text("utf-8"))
    return [
        Case(f"{group}:{name}", path, FilePolicy()._replace(**_policy(raw)), raw["read"], raw["write"], raw.get("needs", ""))
        for group, raw in read.items()
        for name, path in raw["paths"].items()
    ]


def _policy(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in raw.get("policy", {}).items()}


CASES = _cases()
LOOKING = ("read", "info", "exists", "list")
CHANGING = ("append", "remove", "append")


def prepared(tree: Tree, case: Case) -> None:
    if case.needs == "devices" and not tree.has_devices:
        pytest.skip("only root may make devices")
    if case.needs == "mounts" and not tree.mount():
        pytest.skip("only root may mount")


def ends(tree: Tree, opener: Opener, case: Case, call: str) -> str:
    """The code of an error, "inside" for a content that may be read, "written" for a file that holds what was written, else "done"."""
    jail = tree.jail(opener, case.rules)
    try:
        found = CALLS[call](jail, case.path(tree))
    except SpellError as error:
        told = str(tree.folder) in error.message and str(tree.folder) not in case.path(tree)
        assert not told, "an error tells where our folders are"
        return error.code
    finally:
        jail.close()
    assert SECRET not in repr(found).encode() and found != SECRET
    if call == "write":
        assert (tree.root / case.path(tree)).read_bytes() == b"written"
        return "written"
    return "inside" if found == INSIDE else "done"


def untouched(tree: Tree) -> None:
    assert tree.seen() == tree.before
    assert tree.canary.read_bytes() == SECRET


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_path_ends_as_its_case_says_and_no_call_touches_or_tells_what_lies_outside(tree: Tree, opener: Opener, case: Case) -> None:
    prepared(tree, case)
    for call in LOOKING:
        end = ends(tree, opener, case, call)
        assert call != "read" or end == case.read
    untouched(tree)
    assert ends(tree, opener, case, "write") == case.write
    untouched(tree)
    for call in CHANGING:
        ends(tree, opener, case, call)
        untouched(tree)


@pytest.mark.parametrize("name", ["link_folder", "link_root", "link_proc", "link_here", "notes/link_up", "..", "/", "notes/.."])
def test_nothing_outside_is_listed(tree: Tree, opener: Opener, name: str) -> None:
    with pytest.raises(SpellError):
        tree.jail(opener).list(name)


def test_a_listing_shows_what_scripts_may_use_and_nothing_else(tree: Tree, opener: Opener) -> None:
    rules = FilePolicy(deny=("secrets", "*.key"))
    names = [found.name for found in tree.jail(opener, rules).list()]
    assert names == sorted(
        ["plain.txt", "notes", "empty", "two words.txt", "caf\u00e9.txt", "\u0645\u062b\u0627\u0644.txt", "\U0001f600.txt",
         "\U0001f469\u200d\U0001f469\u200d\U0001f466.txt", "-rf", "README", "docs.md", "strasse.txt", "plain.txts", "large.bin", "sparse.bin"]
    )  # fmt: skip


PIECES = st.sampled_from(
    ["..", ".", "/", "//", "\\", "notes", "link_folder", "link_root", "link_here", "hard", "canary.txt", "outside", "llmspell-files", "\0", "%2e",
     "~", " ", "\u202e", "\uff0f", "e\u0301", "etc", "passwd", "proc", "self", "root", "pipe", ".llmspell", "new", "x" * 255]
)  # fmt: skip


@given(pieces=st.lists(PIECES | st.text(max_size=3), max_size=9))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_path_made_of_traps_touches_or_tells_what_lies_outside(tree: Tree, opener: Opener, pieces: list[str]) -> None:
    case = Case("made", "".join(pieces), FilePolicy(), "", "", "")
    for call in (*LOOKING, *CHANGING):
        ends(tree, opener, case, call)
    untouched(tree)


@pytest.mark.parametrize(
    "path", ["root/etc/passwd", "cwd", "cwd/pyproject.toml", "exe", "fd/0", "task/self/root/etc/passwd", "net/../root"]
)
def test_the_links_that_proc_makes_are_not_followed_even_where_the_user_gives_scripts_proc(tree: Tree, opener: Opener, path: str) -> None:
    jail = tree.jail(opener, FilePolicy(root="/proc/self"))
    for call in LOOKING:
        try:
            found = CALLS[call](jail, path)
        except SpellError as error:
            assert error.code in ("denied", "bad_path", "not_found")
        else:
            assert found is False


def test_there_are_enough_cases_with_different_names() -> None:
    assert len(CASES) >= FEWEST
    assert len({case.name.partition(":")[2] for case in CASES}) == len(CASES)


def test_the_data_names_only_what_is_known() -> None:
    known: Sequence[str] = ("read", "write", "policy", "paths", "needs")
    read = tomllib.loads((Path(__file__).parent / "cases" / "paths.toml").read_text("utf-8"))
    assert all(set(raw) <= set(known) for raw in read.values())
