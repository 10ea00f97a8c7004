"""Full disks, closed folders, damaged databases, killed writers: what was acknowledged is there, what failed has changed nothing."""

from __future__ import annotations

import random
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from llmspell_kernel.errors import BridgeError, SpellError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.keys import KeyStore

KEPT = {f"key {number}": f"value {number} " + "x" * (number % 7) * 100 for number in range(60)}
FLIPS = 200


def store_in(folder: Path) -> KeyStore:
    return KeyStore(folder, FilePolicy, busy_s=1)


def database_in(folder: Path) -> Path:
    return folder / ".llmspell" / "storage.sqlite"


def set_aside(folder: Path) -> list[Path]:
    return [path for path in (folder / ".llmspell").iterdir() if ".corrupt-" in path.name and not path.name.endswith(("-wal", "-shm"))]


@pytest.fixture
def sound(quick: Path) -> Path:
    """A database with all of KEPT, closed in good order."""
    store = store_in(quick)
    for key, value in KEPT.items():
        store.set(key, value)
    store.close()
    return database_in(quick)


def all_is_there_or_set_aside(folder: Path, damaged: bytes) -> bool:
    """Each value as it was, or none and one warning with the damaged file whole beside.  True where it was set aside."""
    store = store_in(folder)
    found = {key: store.get(key, "gone") for key in KEPT}
    warnings, aside = store.take_warnings(), set_aside(folder)
    store.set("new", 1)
    assert store.get("new") == 1 and store.take_warnings() == []
    store.close()
    if found == KEPT:
        assert (warnings, aside) == ([], [])
        return False
    assert set(found.values()) == {"gone"}
    (warning,), (path,) = warnings, aside
    assert path.name in warning and path.read_bytes() == damaged
    return True


@contextmanager
def copy_of(database: Path, damaged: bytes) -> Iterator[Path]:
    folder = database.parents[1] / "copy"
    (folder / ".llmspell").mkdir(parents=True)
    database_in(folder).write_bytes(damaged)
    yield folder
    shutil.rmtree(folder)


def test_a_flipped_byte_anywhere_gives_no_wrong_value(sound: Path) -> None:
    whole, chance, asides = sound.read_bytes(), random.Random(20), 0
    for _ in range(FLIPS):
        place = chance.randrange(len(whole))
        damaged = whole[:place] + bytes([whole[place] ^ chance.randrange(1, 256)]) + whole[place + 1 :]
        with copy_of(sound, damaged) as folder:
            asides += all_is_there_or_set_aside(folder, damaged)
    assert asides > FLIPS / 4


def test_a_database_cut_anywhere_is_set_aside(sound: Path) -> None:
    whole = sound.read_bytes()
    sizes = [0, 1, 15, 16, 99, 100, *range(512, len(whole), 512), len(whole) - 1]
    for size in sizes:
        with copy_of(sound, whole[:size]) as folder:
            assert all_is_there_or_set_aside(folder, whole[:size]), f"cut to {size} bytes"


@pytest.mark.parametrize(
    "data", [b"text\n" * 1000, b"\0" * 8192, b"SQLite format 3\0" + b"\0" * 8176, b"SQLite format 3\0" + b"\xff" * 8176]
)
def test_what_is_no_database_is_set_aside(sound: Path, data: bytes) -> None:
    with copy_of(sound, data) as folder:
        assert all_is_there_or_set_aside(folder, data)


def test_a_second_damaged_database_does_not_take_the_place_of_the_first(quick: Path) -> None:
    (quick / ".llmspell").mkdir()
    for data in (b"first", b"second", b"third"):
        database_in(quick).write_bytes(data)
        store = store_in(quick)
        assert store.get("a") is None and len(store.take_warnings()) == 1
        store.close()
        database_in(quick).unlink()
    assert sorted(path.read_bytes() for path in set_aside(quick)) == [b"first", b"second", b"third"]


def test_a_database_damaged_while_it_is_open_gives_no_wrong_value_and_the_kernel_goes_on(sound: Path) -> None:
    folder = sound.parents[1]
    store = store_in(folder)
    assert store.get("key 59") == KEPT["key 59"]
    with sound.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (sound.stat().st_size - 4096))
    store.close()  # what SQLite has in its cache is still good
    assert {store.get(key, "gone") for key in KEPT} == {"gone"}
    assert len(store.take_warnings()) == 1
    store.set("new", 1)


def test_a_value_damaged_while_it_is_open_is_never_given(sound: Path) -> None:
    import sqlite3

    store = store_in(sound.parents[1])
    assert store.has("key 1")
    stranger = sqlite3.connect(sound)
    stranger.execute("UPDATE entries SET value = CAST('\"other\"' AS BLOB) WHERE key = 'key 1'")
    stranger.commit()
    stranger.close()
    assert store.get("key 1", "gone") == "gone"
    (warning,) = store.take_warnings()
    assert "not what was kept" in warning and len(set_aside(sound.parents[1])) == 1


def test_two_kernels_that_find_it_damaged_go_on_together(sound: Path) -> None:
    first, second = store_in(sound.parents[1]), store_in(sound.parents[1])
    first.get("key 1")
    sound.write_bytes(b"damaged" * 2000)
    first.close()
    first.set("a", 1)
    second.set("b", 2)
    assert first.keys() == second.keys() == ["a", "b"]
    assert len(first.take_warnings() + second.take_warnings()) == 1


def test_a_log_without_its_database_is_kept_beside_and_not_read_into_a_new_one(sound: Path) -> None:
    folder = sound.parents[1]
    store = store_in(folder)
    store.set("late", 1)
    log = sound.with_name("storage.sqlite-wal").read_bytes()
    assert log
    with copy_of(sound, b"") as other:
        database_in(other).unlink()
        database_in(other).with_name("storage.sqlite-wal").write_bytes(log)
        found = store_in(other)
        found.set("new", 1)
        assert found.keys() == ["new"]
        (aside,) = [path for path in (other / ".llmspell").iterdir() if ".corrupt-" in path.name]
        assert aside.read_bytes() == log
        found.close()


# full and closed disks


UNDER_A_LIMIT = """
import fcntl, os, resource, sys  # all of it now: where modules lie may be closed later
from pathlib import Path
from llmspell_kernel.errors import BridgeError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.keys import KeyStore

def refused(call):
    try:
        call()
    except BridgeError as error:
        assert str(folder) not in error.message, error.message
        return error.code
    return "done"

folder = Path(sys.argv[1])
"""


def told_by(code: str, folder: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", UNDER_A_LIMIT + dedent(code), str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_file_that_may_not_grow_leaves_old_files_and_values_and_the_process_goes_on(quick: Path) -> None:
    code = """
    jail, store = Jail(folder, FilePolicy), KeyStore(folder, FilePolicy)
    jail.write("a", b"old"), store.set("a", "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    codes = [refused(lambda: jail.write("a", b"x" * 200_000)), refused(lambda: jail.write("a", b"x" * 200_000, append=True)),
             refused(lambda: store.set("a", "x" * 200_000)), refused(lambda: store.set("b", "x" * 200_000))]
    assert jail.read("a") == b"old" and store.get("a") == "old" and store.keys() == ["a"]
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    jail.write("a", b"new"), store.set("a", "new"), store.set("b", 1)
    print(*codes, jail.read("a").decode(), store.get("a"), *[path.name for path in (folder / "llmspell-files").iterdir()])
    """
    *codes, content, value, name = told_by(code, quick)
    assert codes[:2] == ["disk_full", "disk_full"] and set(codes[2:]) <= {"disk", "disk_full"}
    assert (content, value, name) == ("new", "new", "a")
    assert store_in(quick).get("a") == "new"


@contextmanager
def small_disk(folder: Path, size: str = "512k") -> Iterator[Path]:
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "small", str(folder)], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def refusals(call: Callable[[int], object]) -> tuple[int, set[str]]:
    """How many calls of a hundred were done, and the codes of the others."""
    done, codes = 0, set()
    for number in range(100):
        try:
            call(number)
            done += 1
        except SpellError as error:
            codes.add(error.code)
    return done, codes


def test_on_a_full_disk_everything_acknowledged_is_there_and_the_rest_is_an_error(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        jail, store = Jail(disk, FilePolicy), store_in(disk)
        store.set("first", 1)
        files, codes = refusals(lambda number: jail.write(f"file {number:02}", bytes([number]) * 20_000))
        assert 5 < files < 100 and codes == {"disk_full"}
        keys, codes = refusals(lambda number: store.set(f"key {number:02}", "x" * 20_000))
        assert keys < 100 and codes <= {"disk_full", "disk"}
        other_jail, other_store = Jail(disk, FilePolicy), store_in(disk)
        assert [other_jail.read(f"file {number:02}") for number in range(files)] == [bytes([number]) * 20_000 for number in range(files)]
        assert len(other_store.keys("key ")) == keys and other_store.get("first") == 1
        assert not [path for path in (disk / "llmspell-files").iterdir() if path.name.startswith(".")]
        assert other_jail.remove("file 00")
        for user in (store, other_store):
            user.set("first", 2)
        jail.write("file 01", b"room again")
        assert store.take_warnings() == other_store.take_warnings() == []
        for open_one in (jail, other_jail, store, other_store):
            open_one.close()


def test_a_disk_that_is_full_before_the_first_key_leaves_nothing_half_made(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        filling = disk / "filling"
        with pytest.raises(OSError):
            filling.write_bytes(b"x" * 2**20)
        store = store_in(disk)
        with pytest.raises(BridgeError) as caught:
            store.set("a", 1)
        assert caught.value.code in ("disk_full", "disk")
        filling.unlink()
        store.set("a", 1)
        assert store.get("a") == 1 and store.take_warnings() == []
        assert {path.name for path in (disk / ".llmspell").iterdir()} <= {
            ".gitignore",
            "storage.sqlite",
            "storage.sqlite-wal",
            "storage.sqlite-shm",
        }
        store.close()


def test_on_a_disk_that_cannot_be_written_what_is_there_is_read(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        Jail(disk, FilePolicy).write("a", b"old")
        keeping = store_in(disk)
        keeping.set("a", "old")
        keeping.close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        jail, store = Jail(disk, FilePolicy), store_in(disk)
        assert jail.read("a") == b"old" and store.get("a") == "old" and store.keys() == ["a"]
        for call in (lambda: jail.write("a", b"new"), lambda: jail.write("b", b"new"), lambda: jail.remove("a"),
                     lambda: store.set("a", "new"), lambda: store.delete("a"), lambda: store.increment("b")):  # fmt: skip
            with pytest.raises(BridgeError) as caught:
                call()
            assert caught.value.code == "read_only" and str(disk) not in caught.value.message
        assert jail.read("a") == b"old" and store.get("a") == "old" and store.take_warnings() == []
        jail.close()
        store.close()


def test_a_damaged_database_on_a_disk_that_cannot_be_written_is_an_error_and_stays(tmp_path: Path) -> None:
    with small_disk(tmp_path) as disk:
        (disk / ".llmspell").mkdir()
        database_in(disk).write_bytes(b"damaged" * 100)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(BridgeError) as caught:
            store_in(disk).get("a")
        assert caught.value.code == "damaged" and database_in(disk).read_bytes() == b"damaged" * 100


def test_a_folder_closed_to_this_user_is_an_error_and_its_files_stay(quick: Path) -> None:
    Jail(quick, FilePolicy).write("a", b"old")
    first = store_in(quick)
    first.set("a", "old")
    first.close()
    for folder in (quick, quick / "llmspell-files", quick / ".llmspell"):
        folder.chmod(0o555)
    for file in (quick / "llmspell-files" / "a", database_in(quick)):
        file.chmod(0o444)
    code = """
    if os.getuid() == 0:  # to whom no folder is closed
        os.setgroups([]), os.setgid(65534), os.setuid(65534)
    jail, store = Jail(folder, FilePolicy), KeyStore(folder, FilePolicy)
    codes = [refused(lambda: jail.write("a", b"new")), refused(lambda: jail.write("b", b"")), refused(lambda: jail.remove("a")),
             refused(lambda: store.set("a", "new")), refused(lambda: store.increment("b"))]
    print(*codes, jail.read("a").decode(), store.get("a"))
    """
    try:
        assert told_by(code, quick) == [*["read_only"] * 5, "old", "old"]
    finally:
        for folder in (quick, quick / "llmspell-files", quick / ".llmspell"):
            folder.chmod(0o755)


def test_without_a_free_descriptor_a_call_is_an_error_that_may_pass(quick: Path) -> None:
    store = store_in(quick)
    store.set("a", 1)
    store.close()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(BridgeError) as caught:
            store.get("a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.retryable
    assert store.get("a") == 1 and store.take_warnings() == []


# killed writers


WRITER = """
import sys
from pathlib import Path
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.keys import KeyStore
store, number = KeyStore(Path(sys.argv[1]), FilePolicy), int(sys.argv[2])
while True:
    number += 1
    store.set(f"key {number:06}", "x" * (number % 50) * 40)
    assert store.increment("count") == number
    print(number, flush=True)
"""


def killed(folder: Path, last: int, after: int) -> int:
    """Starts a writer behind the number `last`, kills it after some acknowledgements, and gives the last one that it made."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(last)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    told = [writer.stdout.readline() for _ in range(after)]
    writer.kill()
    return int([*told, *writer.communicate()[0].splitlines()][-1])


def nothing_is_lost(folder: Path, rounds: int, seed: int) -> int:
    """How many writes were acknowledged, all of which are there after each kill."""
    chance, last = random.Random(seed), 0
    for _ in range(rounds):
        acknowledged = killed(folder, last, chance.randrange(1, 12))
        store = store_in(folder)
        keys = store.keys("key ")
        assert keys[:acknowledged] == [f"key {number:06}" for number in range(1, acknowledged + 1)], "an acknowledged write is lost"
        assert len(keys) - acknowledged in (0, 1)
        for number in range(last + 1, acknowledged + 1):
            assert store.get(f"key {number:06}") == "x" * (number % 50) * 40
        assert store.get("count") - acknowledged in (0, 1) and store.take_warnings() == []
        last = len(keys)
        store.set("count", last)
        store.close()
    return last


def test_a_writer_that_is_killed_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert nothing_is_lost(tmp_path, rounds=8, seed=8) >= 8


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_writer_that_is_killed_five_hundred_times_loses_nothing_acknowledged(tmp_path: Path) -> None:
    assert nothing_is_lost(tmp_path, rounds=500, seed=500) >= 500
