"""The files of scripts: whole or not at all, within their quotas, in their folder."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmspell_kernel.errors import BridgeError, ConfigError, DeniedError, LimitError, SpellError
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage import contents, whole_files
from llmspell_kernel.services.storage.jail import Jail
from llmspell_kernel.services.storage.opening import Opener, by_walk


class Scripts:
    """A jail whose policy a test may change."""

    def __init__(self, folder: Path, opener: Opener | None = None, **rules: object) -> None:
        self.folder = folder
        self.root = folder / "llmspell-files"
        self.rules = FilePolicy()._replace(**rules)
        self.jail = Jail(folder, lambda: self.rules, opener=opener, wait_s=0.05)

    def names(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))


@pytest.fixture
def scripts(tmp_path: Path) -> Scripts:
    return Scripts(tmp_path)


def code_of(call: Callable[[], object]) -> str:
    with pytest.raises(SpellError) as caught:
        call()
    return caught.value.code


def limit_of(call: Callable[[], object]) -> str:
    with pytest.raises(LimitError) as caught:
        call()
    return caught.value.limit


def test_looking_makes_no_folder(scripts: Scripts) -> None:
    jail = scripts.jail
    assert (jail.list(), jail.exists("a"), jail.remove("a")) == ([], False, False)
    assert code_of(lambda: jail.read("a")) == code_of(lambda: jail.info("a")) == code_of(lambda: jail.list("a")) == "not_found"
    assert not scripts.root.exists()


def test_what_is_written_is_read_and_listed_and_removed(tmp_path: Path, opener: Opener) -> None:
    jail = Scripts(tmp_path, opener).jail
    jail.write("a/b.txt", b"one")
    jail.write("a/b.txt", b"\xff\x00two")
    jail.write("a/b.txt", b"!", append=True)
    jail.write("new", b"+", append=True)
    assert jail.read("a/b.txt") == b"\xff\x00two!" and jail.read("new") == b"+"
    assert [(found.name, found.kind, found.size_bytes) for found in jail.list()] == [("a", "folder", 0), ("new", "file", 1)]
    info = jail.info("a/b.txt")
    assert (info.name, info.kind, info.size_bytes) == ("b.txt", "file", 6) and abs(info.modified_s - time.time()) < 60
    assert jail.exists("a") and jail.exists("a/b.txt") and not jail.exists("a/b.txt/c")
    assert code_of(lambda: jail.remove("a")) == "not_empty"
    assert [jail.remove("a/b.txt"), jail.remove("a/b.txt"), jail.remove("a"), jail.remove("a")] == [True, False, True, False]


def test_nothing_is_left_beside_a_file_that_was_written(scripts: Scripts) -> None:
    for _ in range(3):
        scripts.jail.write("a", b"x")
    assert scripts.names() == ["a"]


def test_the_scripts_folder_itself_is_not_removed(scripts: Scripts) -> None:
    scripts.jail.write("a", b"")
    assert code_of(lambda: scripts.jail.remove("")) == code_of(lambda: scripts.jail.remove(".")) == "bad_path"


def test_a_reader_of_the_old_file_keeps_it_whole(scripts: Scripts) -> None:
    scripts.jail.write("a", b"old")
    with (scripts.root / "a").open("rb") as reader:
        scripts.jail.write("a", b"new and longer")
        assert reader.read() == b"old"


def test_a_hard_link_is_replaced_and_its_other_name_keeps_its_content(scripts: Scripts) -> None:
    scripts.jail.write("a", b"old")
    os.link(scripts.root / "a", scripts.folder / "other")
    scripts.jail.write("a", b"new")
    assert (scripts.folder / "other").read_bytes() == b"old" and scripts.jail.read("a") == b"new"


def test_a_file_that_was_private_stays_so(scripts: Scripts) -> None:
    scripts.jail.write("a", b"x")
    (scripts.root / "a").chmod(0o600)
    scripts.jail.write("a", b"y")
    assert stat.S_IMODE((scripts.root / "a").stat().st_mode) == 0o600


def test_no_file_of_scripts_can_be_run(scripts: Scripts) -> None:
    scripts.jail.write("a.sh", b"#!/bin/sh\n")
    assert not (scripts.root / "a.sh").stat().st_mode & 0o111


# quotas, each by exceeding it


def test_a_file_may_have_so_many_bytes_and_not_one_more(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, max_file_bytes=10)
    scripts.jail.write("a", b"x" * 10)
    assert limit_of(lambda: scripts.jail.write("a", b"y" * 11)) == "files.max_file_bytes"
    assert limit_of(lambda: scripts.jail.write("a", b"y", append=True)) == "files.max_file_bytes"
    assert scripts.jail.read("a") == b"x" * 10
    (scripts.root / "large").write_bytes(b"x" * 11)
    assert limit_of(lambda: scripts.jail.read("large")) == "files.max_file_bytes"


def test_all_files_may_have_so_many_bytes_together(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, max_total_bytes=10)
    scripts.jail.write("a", b"x" * 6)
    assert limit_of(lambda: scripts.jail.write("b", b"y" * 5)) == "files.max_total_bytes"
    assert limit_of(lambda: scripts.jail.write("a", b"y" * 5, append=True)) == "files.max_total_bytes"
    assert scripts.names() == ["a"]
    scripts.jail.write("a", b"z" * 10)
    scripts.jail.write("a", b"z")
    scripts.jail.write("b", b"y" * 9)
    assert scripts.jail.remove("b")
    scripts.jail.write("c", b"y" * 9)


def test_what_was_there_before_counts_too(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, max_total_bytes=10)
    (scripts.root / "deep" / "down").mkdir(parents=True)
    (scripts.root / "deep" / "down" / "users").write_bytes(b"x" * 9)
    assert limit_of(lambda: scripts.jail.write("b", b"yy")) == "files.max_total_bytes"


def test_what_others_write_counts_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "RECOUNT_S", 0.0)
    scripts = Scripts(tmp_path, max_total_bytes=10)
    scripts.jail.write("a", b"x")
    (scripts.root / "users").write_bytes(b"x" * 9)
    assert limit_of(lambda: scripts.jail.write("b", b"y")) == "files.max_total_bytes"


def test_there_may_be_so_many_files_and_folders(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, max_files=3)
    scripts.jail.write("folder/a", b"")
    assert limit_of(lambda: scripts.jail.write("more/b", b"")) == "files.max_files"
    scripts.jail.write("b", b"")
    assert limit_of(lambda: scripts.jail.write("c", b"")) == "files.max_files"
    scripts.jail.write("b", b"what is there already may be written")
    assert scripts.names() == ["b", "folder", "folder/a"]


def test_a_listing_has_so_many_names(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, max_listing=2)
    for name in ("a", "b"):
        scripts.jail.write(name, b"")
    assert len(scripts.jail.list()) == 2
    scripts.jail.write("c", b"")
    assert limit_of(scripts.jail.list) == "files.max_listing"


def test_read_only_changes_nothing(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path)
    scripts.jail.write("a", b"x")
    scripts.rules = scripts.rules._replace(read_only=True)
    for call in (
        lambda: scripts.jail.write("a", b"y"),
        lambda: scripts.jail.write("b", b"y", append=True),
        lambda: scripts.jail.remove("a"),
    ):
        assert code_of(call) == "denied"
    assert scripts.jail.read("a") == b"x" and scripts.names() == ["a"]


# failures in the middle


FAULTS = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "read_only",
    errno.EIO: "disk",
    errno.EMFILE: "disk",
}


@pytest.mark.parametrize("number", FAULTS, ids=errno.errorcode.get)
@pytest.mark.parametrize("step", ["write", "fsync", "rename", "open", "fchmod"])
def test_the_old_file_is_whole_whichever_step_fails(scripts: Scripts, monkeypatch: pytest.MonkeyPatch, step: str, number: int) -> None:
    scripts.jail.write("a", b"old")

    def fails(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number), str(scripts.root / "a"))

    with monkeypatch.context() as patch:
        patch.setattr(whole_files.os, step, fails)
        with pytest.raises(BridgeError) as caught:
            scripts.jail.write("a", b"new")
    assert (caught.value.code, caught.value.retryable) == (FAULTS[number], number == errno.EMFILE)
    assert str(scripts.root) not in caught.value.message
    assert scripts.jail.read("a") == b"old" and scripts.names() == ["a"]
    scripts.jail.write("a", b"new")
    assert scripts.jail.read("a") == b"new"


@pytest.mark.parametrize("after", range(5))
def test_a_write_that_is_given_up_changes_nothing_and_leaves_nothing(scripts: Scripts, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "PIECE_BYTES", 4)
    scripts.jail.write("a", b"old")
    asked = iter([False] * after + [True] * 10)
    scripts.jail.write("a", b"0123456789abcdef", given_up=lambda: next(asked))
    assert scripts.jail.read("a") == b"old" and scripts.names() == ["a"]


def test_what_a_dead_process_left_half_written_is_removed_after_an_hour_and_never_shown(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, hidden=True)
    scripts.jail.write("folder/a", b"x")
    old, new, users = (scripts.root / "folder" / name for name in (".llmspell-old", ".llmspell-new", ".users"))
    for path in (old, new, users):
        path.write_bytes(b"half")
    for path in (old, users):
        os.utime(path, (0, 0))
    assert [found.name for found in scripts.jail.list("folder")] == [".users", "a"]
    Scripts(tmp_path).jail.write("b", b"")
    assert (old.exists(), new.exists(), users.exists()) == (False, True, True)


WRITER = """
import sys
from pathlib import Path
from llmspell_kernel.policy.files import FilePolicy
from llmspell_kernel.services.storage.jail import Jail
jail = Jail(Path(sys.argv[1]), FilePolicy)
number = 0
while True:
    number += 1
    jail.write("a", str(number).encode() * 50_000)
    jail.write("log", f"{number}\\n".encode(), append=True)
    print(number, flush=True)
"""


def written_until_killed(folder: Path, kill_after: int) -> int:
    """The last number that the writer said it had written."""
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    for _ in range(kill_after):
        last = int(writer.stdout.readline())
    writer.kill()
    rest = writer.communicate()[0].split()
    return int(rest[-1]) if rest else last


@pytest.mark.parametrize("kill_after", [1, 4, 9])
def test_a_writer_that_is_killed_leaves_a_whole_file_with_what_it_had_acknowledged(tmp_path: Path, kill_after: int) -> None:
    last = written_until_killed(tmp_path, kill_after)
    jail = Jail(tmp_path, FilePolicy)
    found = jail.read("a").decode()
    number = int(found[: len(found) // 50_000])
    assert found == str(number) * 50_000 and number in (last, last + 1)
    assert jail.read("log").decode().split()[:last] == [str(n) for n in range(1, last + 1)]


# two at once


def test_no_addition_of_two_kernels_is_lost(tmp_path: Path) -> None:
    adder = (
        "import sys; from pathlib import Path; from llmspell_kernel.policy.files import FilePolicy;"
        "from llmspell_kernel.services.storage.jail import Jail; jail = Jail(Path(sys.argv[1]), FilePolicy)\n"
        "for n in range(50): jail.write('log', sys.argv[2].encode(), append=True)"
    )
    adders = [subprocess.Popen([sys.executable, "-c", adder, str(tmp_path), letter]) for letter in "ab"]
    assert [process.wait() for process in adders] == [0, 0]
    assert sorted(Jail(tmp_path, FilePolicy).read("log")) == sorted(b"ab" * 50)


def test_no_addition_of_two_threads_is_lost(scripts: Scripts) -> None:
    threads = [threading.Thread(target=lambda: [scripts.jail.write("log", b"x", append=True) for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert scripts.jail.read("log") == b"x" * 100


def test_who_holds_the_folder_too_long_is_told_and_the_call_may_be_tried_again(scripts: Scripts) -> None:
    import fcntl

    scripts.jail.write("a", b"old")
    holder = os.open(scripts.root, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    with pytest.raises(BridgeError) as caught:
        scripts.jail.write("a", b"new")
    assert caught.value.code == "busy" and caught.value.retryable
    assert scripts.jail.read("a") == b"old"
    os.close(holder)
    scripts.jail.write("a", b"new")


# where the folder is


def test_the_users_absolute_folder_is_taken_where_it_is(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path / "session", root=str(tmp_path / "other" / "place"))
    scripts.jail.write("a", b"x")
    assert (tmp_path / "other" / "place" / "a").read_bytes() == b"x"


def test_another_folder_is_used_from_the_next_call_on(scripts: Scripts) -> None:
    scripts.jail.write("a", b"x")
    scripts.rules = scripts.rules._replace(root="others/deeper")
    assert not scripts.jail.exists("a")
    scripts.jail.write("b", b"y")
    assert (scripts.folder / "others" / "deeper" / "b").read_bytes() == b"y"


def test_a_folder_that_was_removed_is_made_again(scripts: Scripts) -> None:
    scripts.jail.write("a", b"x")
    (scripts.root / "a").unlink()
    scripts.root.rmdir()
    assert not scripts.jail.exists("a")
    scripts.jail.write("a", b"y")
    assert scripts.jail.read("a") == b"y"


@pytest.mark.parametrize("root", ["", "..", "a/../../b"])
def test_a_folder_that_leads_up_is_an_error_of_the_settings(tmp_path: Path, root: str) -> None:
    with pytest.raises(ConfigError, match=r"files\.root"):
        Scripts(tmp_path, root=root).jail.write("a", b"x")


@pytest.mark.parametrize("linked", ["llmspell-files", "deep", "deep/er"])
def test_a_strangers_link_in_place_of_the_scripts_folder_is_not_followed(tmp_path: Path, linked: str) -> None:
    session, outside = tmp_path / "session", tmp_path / "outside"
    for folder in (session, outside / "er", (session / linked).parent):
        folder.mkdir(parents=True, exist_ok=True)
    (outside / "canary").write_text("secret")
    (session / linked).symlink_to(outside)
    scripts = Scripts(session, root="llmspell-files" if linked == "llmspell-files" else "deep/er")
    for call in (lambda: scripts.jail.read("canary"), lambda: scripts.jail.write("canary", b""), scripts.jail.list):
        with pytest.raises(DeniedError, match=r"files\.root.*symbolic link"):
            call()
    assert (outside / "canary").read_text() == "secret"


def test_the_session_folder_itself_may_be_the_scripts_without_giving_away_llmspells_own(tmp_path: Path) -> None:
    scripts = Scripts(tmp_path, root=".", hidden=True)
    (tmp_path / ".llmspell").mkdir()
    (tmp_path / ".llmspell" / "storage.sqlite").write_text("keys")
    (tmp_path / "llmspell.toml").write_text("")
    scripts.jail.write("a", b"x")
    assert [found.name for found in scripts.jail.list()] == ["a"]
    for path in (".llmspell/storage.sqlite", "llmspell.toml"):
        assert code_of(lambda path=path: scripts.jail.write(path, b"")) == "denied"


def test_a_jail_that_was_closed_opens_nothing_again_and_leaves_no_descriptor(scripts: Scripts) -> None:
    before = len(os.listdir("/proc/self/fd"))
    scripts.jail.write("a", b"x")
    scripts.jail.read("a")
    for name in ("../x", "nope", "a/b"):
        code_of(lambda name=name: scripts.jail.read(name))
    scripts.jail.close()
    assert code_of(lambda: scripts.jail.read("a")) == "closed"
    assert len(os.listdir("/proc/self/fd")) == before


def test_too_many_open_files_is_an_error_that_may_pass(scripts: Scripts) -> None:
    import resource

    scripts.jail.write("a", b"x")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # of which the standard streams are three
    try:
        with pytest.raises(BridgeError) as caught:
            scripts.jail.read("a")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert caught.value.retryable
    assert scripts.jail.read("a") == b"x"


def test_a_kernel_without_the_numbers_of_mounts_still_compares_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    from llmspell_kernel.services.storage import opening

    monkeypatch.setattr(opening, "_mount_of", lambda _: "")
    root = os.open("/", os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="cross-device"):
            os.close(by_walk(root, ("proc", "self"), opening.READ_FOLDER))
    finally:
        os.close(root)
