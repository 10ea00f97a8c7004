"""Values by key: what was kept is read back, counted, bounded, and no other kernel's change is lost."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmspell_kernel.errors import BridgeError, DeniedError, LimitError, ScriptError, SpellError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.database import APPLICATION_ID
from llmspell_kernel.services.storage.kept_values import checksum
from llmspell_kernel.services.storage.keys import SPACE, KeyStore, _after
from llmspell_kernel.values import EMPTY_TABLE, Callback, Opaque, ResourceRef
from tests.conformance.expectation import same


class Kept:
    """A store whose policy a test may change."""

    def __init__(self, folder: Path, **rules: Any) -> None:
        self.folder = folder
        self.path = folder / ".llmspell" / "storage.sqlite"
        self.rules = FilePolicy()._replace(**rules)
        self.store = KeyStore(folder, lambda: self.rules, busy_s=0.2)

    def total(self) -> tuple[int, int]:
        """What the database says it holds."""
        connection = sqlite3.connect(self.path)
        row = connection.execute("SELECT keys, bytes FROM totals").fetchone()
        connection.close()
        return tuple(row)


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    found = Kept(tmp_path)
    yield found
    found.store.close()


def limit_of(call: Callable[[], object]) -> str:
    with pytest.raises(LimitError) as caught:
        call()
    return caught.value.limit


VALUES = [None, True, 0, -1, 2**63 - 1, -(2**63), 1.0, -0.0, 1e300, "", "text", "\u0645\U0001f600\0", b"", b"\xff\x00", [], {}, [1, [2, []]],
          {"a": {"$": 1}}, {"$": ["f", 1]}, float("inf"), "x" * 100_000]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_what_was_kept_is_the_same_for_another_kernel(kept: Kept, value: Any) -> None:
    kept.store.set("key", value)
    assert same(kept.store.get("key", "default"), value)
    assert same(KeyStore(kept.folder, FilePolicy).get("key", "default"), value)


def test_looking_makes_no_file(kept: Kept) -> None:
    store = kept.store
    assert (store.get("a"), store.get("a", 5), store.has("a"), store.keys(), store.delete("a"), store.clear("")) == (
        None, 5, False, [], False, 0,
    )  # fmt: skip
    assert list(kept.folder.iterdir()) == []


def test_nothing_may_be_kept_as_a_value_and_is_another_thing_than_no_value(kept: Kept) -> None:
    kept.store.set("a", None)
    assert kept.store.has("a") and kept.store.get("a", "default") is None
    assert [kept.store.delete("a"), kept.store.delete("a"), kept.store.has("a")] == [True, False, False]


def test_an_empty_lua_table_is_kept_as_an_object(kept: Kept) -> None:
    kept.store.set("a", {"x": EMPTY_TABLE})
    assert kept.store.get("a") == {"x": {}}


@pytest.mark.parametrize("value", [Callback(1), {"a": [Callback(1)]}, ResourceRef(1, "llm.stream"), [Opaque("f")]])
def test_what_lives_in_one_state_is_refused(kept: Kept, value: Any) -> None:
    with pytest.raises(ScriptError, match="cannot be kept"):
        kept.store.set("a", value)
    assert not kept.store.has("a")


def test_keys_are_listed_by_their_beginning_in_order(kept: Kept) -> None:
    names = ["b", "a", "a/1", "a/2", "ab", "\ud7ff", "\ue000x", "\U0010ffff", "\U0010ffffz"]
    for name in names:
        kept.store.set(name, 1)
    assert kept.store.keys() == sorted(names)
    assert kept.store.keys("a/") == ["a/1", "a/2"] and kept.store.keys("a") == ["a", "a/1", "a/2", "ab"]
    assert kept.store.keys("\ud7ff") == ["\ud7ff"] and kept.store.keys("\U0010ffff") == ["\U0010ffff", "\U0010ffffz"]
    assert [kept.store.clear("a/"), kept.store.clear("zzz"), kept.store.keys("a")] == [2, 0, ["a", "ab"]]
    assert [kept.store.clear(""), kept.store.keys()] == [7, []]
    assert kept.total() == (0, 0)


@given(prefix=st.text(min_size=1, max_size=4), other=st.text(max_size=5))
def test_the_end_of_a_range_is_behind_all_that_begin_so_and_before_all_others(prefix: str, other: str) -> None:
    end = _after(prefix)
    in_range = prefix.encode() <= other.encode() and (end is None or other.encode() < end.encode())
    assert in_range == other.startswith(prefix)


def test_counting_begins_at_nothing_and_takes_whole_and_broken_numbers(kept: Kept) -> None:
    assert [kept.store.increment("a"), kept.store.increment("a", 4), kept.store.increment("a", -7)] == [1, 5, -2]
    assert same(kept.store.increment("a", 0.5), -1.5)
    for value in ("1", True, [1]):
        kept.store.set("b", value)
        with pytest.raises(ScriptError, match="'b' holds no number") as caught:
            kept.store.increment("b")
        assert caught.value.code == "not_a_number" and kept.store.get("b") == value


def test_counting_beyond_64_bits_is_an_error_and_changes_nothing(kept: Kept) -> None:
    kept.store.set("a", 2**63 - 1)
    with pytest.raises(ScriptError, match="64 bits"):
        kept.store.increment("a")
    assert kept.store.get("a") == 2**63 - 1


def test_a_value_is_replaced_only_where_it_is_still_the_one_that_was_read(kept: Kept) -> None:
    assert kept.store.replace("a", None, 1) and not kept.store.replace("a", None, 2)
    seen = kept.store.entry("a")
    other = KeyStore(kept.folder, FilePolicy)
    other.set("a", 7)
    assert not kept.store.replace("a", seen.text, 3) and kept.store.get("a") == 7
    assert kept.store.replace("a", kept.store.entry("a").text, 4) and other.get("a") == 4


def test_spaces_know_nothing_of_each_other(kept: Kept) -> None:
    other = KeyStore(kept.folder, FilePolicy, space="other")
    kept.store.set("a", 1)
    other.set("a", 2)
    assert (kept.store.get("a"), other.get("a"), other.clear(""), kept.store.keys()) == (1, 2, 1, ["a"])


def test_the_database_is_its_users_alone(kept: Kept) -> None:
    kept.store.set("a", 1)
    assert stat.S_IMODE(kept.path.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept.path.parent.iterdir()} == {0o600}


# quotas, each by exceeding it


def test_a_key_may_have_so_many_bytes(tmp_path: Path) -> None:
    store = Kept(tmp_path, max_key_bytes=4).store
    store.set("four", 1)
    for call in (lambda: store.set("5five", 1), lambda: store.get("5five"), lambda: store.increment("5five"), lambda: store.keys("5five")):
        assert limit_of(call) == "files.max_key_bytes"


def test_a_value_may_have_so_many_bytes_as_json(tmp_path: Path) -> None:
    store = Kept(tmp_path, max_value_bytes=10).store
    store.set("a", "x" * 8)
    assert limit_of(lambda: store.set("a", "x" * 9)) == "files.max_value_bytes"
    assert limit_of(lambda: store.replace("a", store.entry("a").text, "x" * 9)) == "files.max_value_bytes"
    assert store.get("a") == "x" * 8


def test_there_may_be_so_many_keys(tmp_path: Path) -> None:
    store = Kept(tmp_path, max_keys=2).store
    store.set("a", 1)
    store.increment("b")
    for call in (lambda: store.set("c", 1), lambda: store.increment("c"), lambda: store.replace("c", None, 1)):
        assert limit_of(call) == "files.max_keys"
    store.set("a", 2)
    store.delete("b")
    store.set("c", 1)
    assert store.keys() == ["a", "c"]


def test_all_keys_and_values_may_have_so_many_bytes_together(tmp_path: Path) -> None:
    kept = Kept(tmp_path, max_store_bytes=20)
    kept.store.set("a", "x" * 10)
    assert kept.total() == (1, 13)
    assert limit_of(lambda: kept.store.set("b", "x" * 10)) == "files.max_store_bytes"
    assert limit_of(lambda: kept.store.set("a", "x" * 20)) == "files.max_store_bytes"
    kept.store.set("a", "x" * 17)
    assert kept.total() == (1, 20)
    kept.rules = kept.rules._replace(max_store_bytes=5)
    kept.store.set("a", "x")  # less than before is always taken
    kept.store.delete("a")
    assert kept.total() == (0, 0)


def test_a_listing_has_so_many_keys(tmp_path: Path) -> None:
    store = Kept(tmp_path, max_listing=2).store
    for name in ("a1", "a2", "b"):
        store.set(name, 1)
    assert store.keys("a") == ["a1", "a2"]
    assert limit_of(store.keys) == "files.max_listing"


def test_read_only_changes_nothing(kept: Kept) -> None:
    kept.store.set("a", 1)
    kept.rules = kept.rules._replace(read_only=True)
    store = kept.store
    for call in (lambda: store.set("a", 2), lambda: store.delete("a"), lambda: store.increment("a"), lambda: store.clear(""),
                 lambda: store.replace("a", b"1", 2)):  # fmt: skip
        with pytest.raises(DeniedError, match=r"files\.read_only"):
            call()
    assert store.get("a") == 1


# two kernels


ADDER = """
import sys
from pathlib import Path
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.keys import KeyStore
store = KeyStore(Path(sys.argv[1]), FilePolicy, busy_s=60)
for _ in range(int(sys.argv[2])):
    if sys.argv[3] == "increment":
        store.increment("count")
    else:
        while not store.replace("count", (seen := store.entry("count")).text, (seen.value or 0) + 1):
            pass
"""


@pytest.mark.parametrize("how", ["increment", "replace"])
def test_two_kernels_with_a_thousand_additions_each_come_to_two_thousand(quick: Path, how: str) -> None:
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(quick), "1000", how]) for _ in range(2)]
    assert [process.wait() for process in adders] == [0, 0]
    assert KeyStore(quick, FilePolicy).get("count") == 2_000


def test_threads_of_one_kernel_lose_no_addition(kept: Kept) -> None:
    threads = [threading.Thread(target=lambda: [kept.store.increment("count") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept.store.get("count") == 200


def test_two_kernels_that_begin_at_once_make_one_database(tmp_path: Path) -> None:
    adders = [subprocess.Popen([sys.executable, "-c", ADDER, str(tmp_path), "1", "increment"]) for _ in range(6)]
    assert [process.wait() for process in adders] == [0] * 6
    assert KeyStore(tmp_path, FilePolicy).get("count") == 6
    assert not [name for name in os.listdir(tmp_path / ".llmspell") if "corrupt" in name or "new" in name]


def test_who_writes_too_long_keeps_others_from_writing_and_not_from_reading(kept: Kept) -> None:
    kept.store.set("a", 1)
    holder = sqlite3.connect(kept.path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(BridgeError) as caught:
        kept.store.set("a", 2)
    assert (caught.value.code, caught.value.retryable) == ("busy", True)
    assert kept.store.get("a") == 1
    holder.execute("ROLLBACK")
    holder.close()
    kept.store.set("a", 2)


def test_a_database_that_the_user_removed_is_made_again(kept: Kept) -> None:
    kept.store.set("a", 1)
    for path in kept.path.parent.iterdir():
        path.unlink()
    assert kept.store.get("a", "gone") == "gone"
    kept.store.set("a", 2)
    assert KeyStore(kept.folder, FilePolicy).get("a") == 2


# what a stranger's folder may hold


LINKS = [
    ("symbolic", ".llmspell"),  # a folder has no hard links
    *((kind, f"storage.sqlite{end}") for kind in ("symbolic", "hard") for end in ("", "-wal", "-shm", "-journal")),
]


@pytest.mark.parametrize(("kind", "name"), LINKS)
def test_a_link_in_place_of_the_database_or_its_folder_is_not_followed(tmp_path: Path, kind: str, name: str) -> None:
    session, outside = tmp_path / "session", tmp_path / "outside"
    for folder in (session, outside):
        folder.mkdir()
    canary = outside / "storage.sqlite"
    KeyStore(outside, FilePolicy).set("secret", "canary")
    (outside / ".llmspell" / "storage.sqlite").rename(canary)
    before = canary.read_bytes(), canary.stat().st_mtime_ns
    if name == ".llmspell":
        (session / name).symlink_to(outside)
    else:
        (session / ".llmspell").mkdir()
        (session / ".llmspell" / "storage.sqlite").write_bytes(b"") if name != "storage.sqlite" else None
        link = (session / ".llmspell" / name).symlink_to if kind == "symbolic" else (session / ".llmspell" / name).hardlink_to
        link(canary)
    store = KeyStore(session, FilePolicy)
    for call in (lambda: store.get("secret"), lambda: store.set("secret", 1), lambda: store.keys()):
        with pytest.raises(DeniedError, match="link"):
            call()
    assert (canary.read_bytes(), canary.stat().st_mtime_ns) == before


@pytest.mark.parametrize("end", ["", "-wal"])
def test_a_database_of_a_stranger_larger_than_kept_values_can_make_it_is_not_read(kept: Kept, end: str) -> None:
    kept.store.set("k", 1)
    kept.store.close()
    kept.rules = kept.rules._replace(max_store_bytes=1)
    large = kept.path.with_name(f"{kept.path.name}{end}")
    large.touch(0o600)
    os.truncate(large, 70 * 1024 * 1024)  # a sparse one: it takes no place here
    before = sorted(os.listdir(kept.path.parent))
    with pytest.raises(LimitError, match=r"storage.sqlite has 73,4\d\d,\d\d\d bytes.*is not read.*files.max_store_bytes is 1$"):
        kept.store.get("k")
    assert sorted(os.listdir(kept.path.parent)) == before


def test_a_limit_below_what_is_kept_hides_nothing_of_it(kept: Kept) -> None:
    for number in range(100):
        kept.store.set(f"key{number}", "x" * 100_000)
    kept.store.close()
    kept.rules = kept.rules._replace(max_store_bytes=1)
    assert kept.store.get("key99") == "x" * 100_000
    assert limit_of(lambda: kept.store.set("new", 1)) == "files.max_store_bytes"


def test_a_function_that_a_stranger_wrote_into_the_database_is_no_function(kept: Kept) -> None:
    kept.store.set("a", 1)
    kept.store.close()
    text = b'{"$":["f",1]}'
    connection = sqlite3.connect(kept.path)
    connection.execute("UPDATE entries SET value = ?, checksum = ?", (text, checksum(SPACE, "a", text)))
    connection.execute("UPDATE totals SET bytes = ?", (1 + len(text),))
    connection.commit()
    connection.close()
    with pytest.raises(ScriptError, match="function cannot be kept"):
        kept.store.get("a")
    assert kept.store.take_warnings() == []


TRAPS = [
    "CREATE TRIGGER trap AFTER INSERT ON entries BEGIN DELETE FROM entries; END",
    "CREATE VIEW trap AS SELECT * FROM entries",
    "CREATE TABLE more (x)",
    "CREATE INDEX trap ON entries (checksum)",
    "ALTER TABLE entries ADD COLUMN more",
    "PRAGMA user_version = 2",
    "PRAGMA application_id = 7",
    "DELETE FROM totals",
    "DELETE FROM entries",
    "UPDATE entries SET key = 'b'",
    "UPDATE entries SET value = CAST(value AS TEXT)",
    "UPDATE totals SET bytes = -1000000",
    "INSERT INTO totals VALUES ('other', 5, 5)",
]


@pytest.mark.parametrize("statement", TRAPS)
def test_a_database_that_is_not_as_we_make_it_is_set_aside_whole(kept: Kept, statement: str) -> None:
    kept.store.set("a", 1)
    kept.store.close()
    connection = sqlite3.connect(kept.path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    before = kept.path.read_bytes()
    assert kept.store.get("a", "gone") == "gone"
    (warning,) = kept.store.take_warnings()
    (aside,) = [path for path in kept.path.parent.iterdir() if "corrupt" in path.name and path.suffix[-4:] not in ("-wal", "-shm")]
    assert aside.name in warning and aside.read_bytes()[100:] == before[100:]
    kept.store.set("a", 2)
    assert kept.store.get("a") == 2 and kept.store.take_warnings() == []


def test_errors_tell_no_path_of_ours(kept: Kept) -> None:
    kept.path.parent.mkdir()
    kept.path.mkdir()
    for call in (lambda: kept.store.get("a"), lambda: kept.store.set("a", 1)):
        with pytest.raises(SpellError) as caught:
            call()
        assert str(kept.folder) not in caught.value.message
    assert APPLICATION_ID < 2**31
