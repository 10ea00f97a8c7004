"""The ledger of days: what it adds up, between processes, over crashes, and when its file is no good."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from llmspell_kernel.journal.ledger import FILE, LOG_TRANSACTIONS, Ledger, LedgerBusy, LedgerError

NOON = 1_800_000_000.0
COLUMNS = ("requests", "nano_usd")


def ledger(folder: Path, now: float = NOON) -> Ledger:
    return Ledger(folder, COLUMNS, lambda: now)


def one_of(cap: int) -> Any:
    def decide(sums: tuple[int, ...]) -> tuple[int, int]:
        if sums[0] >= cap:
            raise ValueError("full")
        return 1, 5

    return decide


def test_sums_outlive_who_made_them(tmp_path: Path) -> None:
    first = ledger(tmp_path)
    assert first.reserve(lambda sums: (1, 5)) == ("2027-01-15", (1, 5), (0, 0))
    first.change("2027-01-15", (0, -3))
    first.close()
    assert ledger(tmp_path).today() == ("2027-01-15", (1, 2))


def test_a_day_is_a_date_in_utc_and_begins_at_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    midnight = 1_799_971_200.0
    ledger(tmp_path, midnight - 1).reserve(lambda sums: (1, 1))
    assert ledger(tmp_path, midnight - 1).today() == ("2027-01-14", (1, 1))
    assert ledger(tmp_path, midnight).today() == ("2027-01-15", (0, 0))


def test_a_settlement_after_midnight_counts_for_the_day_of_its_reservation(tmp_path: Path) -> None:
    day, _, _ = ledger(tmp_path).reserve(lambda sums: (1, 50))
    later = ledger(tmp_path, NOON + 86_400)
    later.change(day, (0, -40))
    assert later.today()[1] == (0, 0)
    assert ledger(tmp_path).today()[1] == (1, 10)


def test_what_the_caller_refuses_is_not_added(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.reserve(one_of(1))
    with pytest.raises(ValueError):
        one.reserve(one_of(1))
    assert one.today()[1] == (1, 5)


def test_only_its_user_can_read_it(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    ledger(folder).reserve(lambda sums: (1, 1))
    assert stat.S_IMODE((folder / FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _take_many(folder: Path, cap: int, ready: Any, got: Any) -> None:
    one, taken = ledger(folder), 0
    ready.wait()
    for _ in range(200):
        try:
            one.reserve(one_of(cap))
            taken += 1
        except ValueError:
            pass
    got.put(taken)


def test_processes_that_reserve_at_once_never_pass_the_cap_together(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, got = spawn.Barrier(4), spawn.Queue()
    workers = [spawn.Process(target=_take_many, args=(tmp_path, 300, ready, got)) for _ in range(4)]
    for worker in workers:
        worker.start()
    taken = sum(got.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    assert taken == 300
    assert ledger(tmp_path).today()[1] == (300, 1500)


ROUNDS = 60


def _open_many(folder: Path, ready: Any, got: Any) -> None:
    failed = []
    for number in range(ROUNDS):
        ready.wait()
        try:
            ledger(folder / str(number)).reserve(one_of(100))
        except LedgerError as error:
            failed.append(str(error))
    got.put(failed)


def test_processes_that_open_a_new_ledger_at_the_same_moment_all_can(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready, got = spawn.Barrier(4), spawn.Queue()
    workers = [spawn.Process(target=_open_many, args=(tmp_path, ready, got)) for _ in range(4)]
    for worker in workers:
        worker.start()
    assert [got.get(timeout=60) for _ in workers] == [[]] * 4
    for worker in workers:
        worker.join()


def _reserve_and_die(folder: Path) -> None:
    ledger(folder).reserve(lambda sums: (1, 50))
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_leaves_its_reservation_counted(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_reserve_and_die, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert ledger(tmp_path).today()[1] == (1, 50)


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_an_unreadable_file_is_kept_under_another_name_and_counting_starts_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    one = ledger(tmp_path)
    one.reserve(lambda sums: (1, 5))
    assert one.set_aside == f"{FILE}.unreadable-20270115-080000"
    assert (tmp_path / one.set_aside).read_bytes() == content
    assert ledger(tmp_path).today()[1] == (1, 5)


def test_a_damaged_page_is_found_when_the_file_is_opened(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.reserve(lambda sums: (1, 5))
    one.close()
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[:4096] + b"\xaa" * (len(whole) - 4096))
    again = ledger(tmp_path)
    again.reserve(lambda sums: (1, 5))
    assert again.set_aside and again.today()[1] == (1, 5)


def test_who_holds_the_ledger_too_long_is_an_error_not_a_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmspell_kernel.journal.ledger.WAIT_S", 0.05)
    ledger(tmp_path).reserve(lambda sums: (1, 5))
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked"):
        ledger(tmp_path).reserve(lambda sums: (1, 5))
    other.execute("ROLLBACK")
    other.close()
    ledger(tmp_path).reserve(lambda sums: (1, 5))


def test_a_place_that_cannot_be_written_is_an_error_without_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError) as failed:
        ledger(tmp_path / "file" / "below").reserve(lambda sums: (1, 5))
    assert str(tmp_path) not in str(failed.value)


def test_without_a_wait_a_ledger_that_is_in_use_changes_nothing_and_stays_usable(tmp_path: Path) -> None:
    mine = ledger(tmp_path)
    mine.reserve(lambda sums: (1, 1))
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerBusy):
            mine.reserve_all([lambda sums: (1, 1)], wait=False)
        other.execute("ROLLBACK")
    assert mine.reserve_all([lambda sums: (1, 1)], wait=False)[1] == [((1, 1), (1, 1))]
    assert mine.reserve(lambda sums: (1, 1))[2] == (2, 2)


def test_the_log_is_written_into_the_database_by_one_that_may_wait(tmp_path: Path) -> None:
    mine = ledger(tmp_path)
    mine.reserve(lambda sums: (1, 1))
    log = tmp_path / f"{FILE}-wal"
    with pytest.raises(LedgerBusy):
        for _ in range(LOG_TRANSACTIONS):
            mine.reserve_all([lambda sums: (1, 1)], wait=False)
    largest = log.stat().st_size
    for _ in range(3 * LOG_TRANSACTIONS):
        mine.reserve(lambda sums: (1, 1))
    assert log.stat().st_size <= largest * 1.1
    mine.reserve_all([lambda sums: (1, 1)], wait=False)
