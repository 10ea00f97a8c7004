"""A cassette on disk: no answer that was given is lost, the old one stays until there is a new one, and a full disk damages nothing."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from llmspell_kernel.errors import LoadError
from llmspell_kernel.journal.cassette import Entry, text_of
from llmspell_kernel.journal.cassette_file import CassetteFile, load_cassette


def entry(number: int, size: int = 1) -> Entry:
    return Entry("a.b", msgspec.Raw(b"[%d]" % number), msgspec.Raw(b'"%s"' % (b"x" * size)))


def numbers(file: Path) -> list[int]:
    return [msgspec.json.decode(one.arguments)[0] for one in load_cassette(file).entries]


def test_each_entry_is_there_as_soon_as_it_is_written_and_the_end_puts_them_in_order(tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    writer = CassetteFile(file, 5.0)
    for number in (2, 1):
        writer.append(entry(number))
    assert numbers(file) == [2, 1]
    writer.finish([entry(1), entry(2)])
    assert file.read_bytes() == text_of(5.0, [entry(1), entry(2)])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [file.name]


def test_only_a_plain_file_is_read_as_a_cassette(tmp_path: Path) -> None:
    """A pipe would never end."""
    file = tmp_path / "n.cassette.jsonl"
    os.mkfifo(file)
    with pytest.raises(LoadError, match="is no plain file, and nothing else is read"):
        load_cassette(file)


def test_a_cassette_may_lie_behind_a_link(tmp_path: Path) -> None:
    """Its user names it, and build tools put such links in place of the files of a project."""
    (tmp_path / "kept.jsonl").write_bytes(text_of(5.0, [entry(7)]))
    (tmp_path / "n.cassette.jsonl").symlink_to(tmp_path / "kept.jsonl")
    assert numbers(tmp_path / "n.cassette.jsonl") == [7]


def test_the_old_cassette_stays_until_the_first_new_entry(tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    file.write_bytes(text_of(5.0, [entry(7)]))
    writer = CassetteFile(file, 5.0)
    assert numbers(file) == [7]
    writer.append(entry(8))
    assert numbers(file) == [8]
    writer.close()


def test_what_is_kept_of_the_old_cassette_is_in_the_new_one_from_its_first_entry_on(tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    writer = CassetteFile(file, 5.0, [entry(1), entry(2)])
    for number in (4, 3):
        writer.append(entry(number))
        assert numbers(file)[:3] == [1, 2, 4]
    assert numbers(file) == [1, 2, 4, 3]
    writer.close()


def test_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="there is no such cassette; record one first"):
        load_cassette(tmp_path / "none")
    with pytest.raises(LoadError, match="cannot be read: Is a directory"):
        load_cassette(tmp_path)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from tests.journal.test_cassette_file import CassetteFile, entry
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
writer = CassetteFile(Path(sys.argv[1]), 5.0)
writer.append(entry(0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for number in range(1, 50):
    try:
        writer.append(entry(number, 40))
    except OSError:
        print(number)
        break
"""


@pytest.mark.parametrize("size", range(200, 500, 37))
def test_a_full_disk_is_an_error_and_leaves_whole_lines(tmp_path: Path, size: int) -> None:
    file = tmp_path / "n.cassette.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(file), str(size)], capture_output=True, text=True, timeout=60, check=True)
    refused = int(done.stdout)
    assert numbers(file) == list(range(refused))
    assert file.read_bytes().endswith(b"\n")


WRITER = """
import sys
from pathlib import Path
from tests.journal.test_cassette_file import CassetteFile, entry
writer = CassetteFile(Path(sys.argv[1]), 5.0)
for number in range(100_000):
    writer.append(entry(number, number % 300))
    print(number, flush=True)
"""


def killed_after(file: Path, count: int) -> int:
    """The last number that a recording has acknowledged when it is killed."""
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(file)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(count):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    said = process.stdout.read().split("\n")
    process.wait()
    return int(said[-2]) if len(said) > 1 else count - 1


@pytest.mark.parametrize("count", [1, 3, 17])
def test_a_killed_recording_has_lost_nothing_that_was_acknowledged(tmp_path: Path, count: int) -> None:
    file = tmp_path / "n.cassette.jsonl"
    last = killed_after(file, count)
    assert last >= count - 1
    assert numbers(file)[: last + 1] == list(range(last + 1))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_kills_leave_no_unreadable_cassette(tmp_path: Path) -> None:
    file = tmp_path / "n.cassette.jsonl"
    for round in range(500):
        last = killed_after(file, 1 + round * 7 % 60)
        assert numbers(file)[: last + 1] == list(range(last + 1))
