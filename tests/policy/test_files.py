"""What the table [files] decides of names; the paths themselves stand in tests/services/storage/cases."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.configuration.rules import Entry, apply
from llmspell_kernel.errors import ConfigError, DeniedError, LimitError, ScriptError, SpellError
from llmspell_kernel.policy.files import TIGHTER, FilePolicy, fold, shown
from llmspell_kernel.policy.tables import table_of
from llmspell_kernel.settings import Origin, Settings

PROJECT = Origin("llmspell.toml", 1)


@given(st.text(max_size=300))
def test_what_is_taken_as_a_path_is_names_that_lead_down(path: str) -> None:
    try:
        parts = FilePolicy().file(path)
    except SpellError as error:
        assert "\n" not in error.message and "\x1b" not in error.message
        return
    assert "/".join(parts) == path
    for part in parts:
        assert part not in ("", ".", "..") and not set(part) & set("/\\\0\n") and len(part.encode()) <= 255
        assert unicodedata.is_normalized("NFC", part) and not part.startswith(".")


@given(st.text(max_size=40), st.sampled_from(["*.key", "secrets", "a/*", "*"]))
def test_a_deny_wins_over_every_allow_in_any_case(path: str, pattern: str) -> None:
    rules = FilePolicy(allow=("*",), deny=(pattern,))
    for name in (path, path.upper(), f"secrets/{path}", f"a/{path}", f"{path}.KEY"):
        try:
            parts = rules.file(name)
        except SpellError:
            continue
        folded = [fold(part) for part in parts]
        assert pattern != "*"
        assert pattern != "secrets" or "secrets" not in folded
        assert pattern != "a/*" or folded[0] != "a" or len(folded) == 1
        assert pattern != "*.key" or not any(part.endswith(".key") for part in folded)


@pytest.mark.parametrize(
    ("folder", "name", "is_listed"),
    [((), "plain.txt", True), ((), ".env", False), ((), "llmspell.toml", False), (("notes",), "x.key", False), ((), "a\x1bb", False),
     ((), "secrets", False), (("d",) * 15, "file", True), (("d",) * 16, "file", False)],
)  # fmt: skip
def test_what_may_not_be_used_is_not_listed(folder: tuple[str, ...], name: str, is_listed: bool) -> None:
    rules = FilePolicy(deny=("*.key", "secrets"))
    assert rules.lists(folder, name, "file") is is_listed


def test_an_allowed_pattern_is_for_files_and_hides_no_folder_on_the_way() -> None:
    rules = FilePolicy(allow=("*.txt",))
    assert rules.lists((), "notes", "folder") and not rules.lists((), "notes", "file")


@pytest.mark.parametrize(("path", "parts"), [("", ()), (".", ()), ("notes", ("notes",)), ("a/b", ("a", "b"))])
def test_a_folder_may_be_the_scripts_own(path: str, parts: tuple[str, ...]) -> None:
    assert FilePolicy().folder(path) == parts


@pytest.mark.parametrize("key", ["", "a\0b", "a\nb", "\ud800", "a\u202eb"])
def test_what_can_be_no_key_is_told(key: str) -> None:
    with pytest.raises(ScriptError, match="the key") as caught:
        FilePolicy().check_key(key)
    assert caught.value.code == "bad_key"


def test_a_key_too_long_names_the_limit() -> None:
    with pytest.raises(LimitError) as caught:
        FilePolicy(max_key_bytes=3).check_key("\u00e9\u00e9")
    assert (caught.value.limit, caught.value.value, caught.value.used) == ("files.max_key_bytes", 3, 4)
    FilePolicy(max_key_bytes=4).check_key("\u00e9\u00e9")


@pytest.mark.parametrize("key", ["a", "../../etc", "/", "a b", "notes/today", "\u0645", "x" * 512])
def test_a_key_may_be_nearly_any_text(key: str) -> None:
    FilePolicy().check_key(key)


def test_read_only_is_a_refusal_that_names_its_setting() -> None:
    with pytest.raises(DeniedError, match=r"files\.read_only"):
        FilePolicy(read_only=True).check_writable()
    FilePolicy().check_writable()


def test_a_clash_is_another_spelling_of_the_same_name() -> None:
    names = ["Notes", "plain.txt", "caf\u00e9"]
    found = [FilePolicy().clash(name, names) for name in ("notes", "plain.txt", "CAF\u00c9", "new", "plain\u200b.txt")]
    assert found == ["Notes", "", "caf\u00e9", "", "plain.txt"]


def test_a_name_in_a_message_is_short_and_steers_no_terminal() -> None:
    assert shown("\x1b[2J") == "'\\x1b[2J'" and len(shown("x" * 1000)) < 100


def project(own: Settings, key: str, value: object) -> FilePolicy:
    return table_of(apply(own, [Entry(key, value, PROJECT)], engines=[], guest=True), FilePolicy)


def test_a_project_may_lower_every_quota_and_raise_none() -> None:
    for name in TIGHTER:
        if name.startswith("max_"):
            assert getattr(project(Settings(), f"files.{name}", 1), name) == 1
            with pytest.raises(ConfigError, match="looser"):
                project(Settings(), f"files.{name}", getattr(FilePolicy(), name) + 1)
    assert {name for name in FilePolicy._fields if name.startswith("max_")} <= TIGHTER.keys()


def test_a_project_may_forbid_more_files_and_allow_no_more() -> None:
    own = Settings(files={"deny": ("*.key",), "allow": ("*.txt",), "hidden": True})
    assert project(own, "files.deny", ["x"]).deny == ("*.key", "x")
    assert project(own, "files.allow", ["a*.txt"]).allow == ("a*.txt",)
    assert not project(own, "files.hidden", False).hidden
    for key, value in (("files.allow", ["*.md"]), ("files.root", "/"), ("files.read_only", False)):
        with pytest.raises(ConfigError):
            project(own, key, value)
    with pytest.raises(ConfigError):
        project(Settings(), "files.hidden", True)
