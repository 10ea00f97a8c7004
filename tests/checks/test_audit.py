"""The audit passes only where everything in the lock was asked about, and the bill of materials names all of it."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from .loading import FOLDER, script

audit: Any = script("audit")
LOCK = FOLDER.parent / "requirements.lock"
A, B = audit.Package("a", "1"), audit.Package("b-c", "2.0")
HAS_TOOLS = all(importlib.util.find_spec(name) for name in ("pip_audit", "cyclonedx_py"))
needs_tools = pytest.mark.skipif(
    not HAS_TOOLS, reason="pip-audit and cyclonedx-bom are not installed: pip install 'llmspell-kernel[audit]'"
)


def test_every_package_of_the_lock_is_known_whatever_system_it_is_for() -> None:
    found = audit.locked(LOCK.read_text("utf-8"))
    lines = [line for line in LOCK.read_text("utf-8").splitlines() if line and not line.startswith((" ", "#"))]
    assert len(found) == len(lines) > 100
    assert {"lupa", "quickjs-ng", "msgspec", "pywinpty"} <= {package.name for package in found}
    assert not any(mark in str(package) for package in found for mark in " ;\\")


def test_a_package_that_is_locked_in_two_versions_is_asked_about_twice() -> None:
    found = audit.locked(LOCK.read_text("utf-8"))
    made = audit.batches(found)
    assert sorted(package for batch in made for package in batch) == sorted(found)
    for batch in made:
        assert max(Counter(package.name for package in batch).values()) == 1


@pytest.mark.parametrize(
    ("stdout", "stderr", "reason"),
    [
        ("", "Traceback\nConnectionError: no such host", "ConnectionError: no such host"),
        ("", "", "it said nothing"),
        ("[]", "x", "gave no answer"),
        ('{"dependencies": []}', "", "does not name it"),
        ('{"dependencies": [{"name": "a", "skip_reason": "not found on PyPI"}]}', "No known vulnerabilities found", "not found on PyPI"),
        ('{"dependencies": [{"name": "a", "version": "9", "vulns": []}]}', "", "does not name it"),
    ],
)
def test_what_pip_audit_could_not_ask_about_is_told_with_the_reason(stdout: str, stderr: str, reason: str) -> None:
    if stdout == "[]":
        stdout = "{}"
    said = audit.asked_of(stdout, stderr, [A])
    assert said.known == {}
    assert reason in said.unasked[A]


def answer(**vulnerabilities: list[str]) -> str:
    names = {"a": A, "b": B}
    entries = [
        {"name": names[key].name, "version": names[key].version, "vulns": [{"id": each} for each in ids]}
        for key, ids in vulnerabilities.items()
    ]
    return json.dumps({"dependencies": entries, "fixes": []})


def test_an_audit_of_everything_without_findings_passes(capsys: pytest.CaptureFixture[str]) -> None:
    said = audit.asked_of(answer(a=[], b=[]), "", [A, B])
    assert audit.report([A, B], said.known, {"pypi": said.unasked}) == 0
    assert "2 of 2 packages were asked about, 0 of them" in capsys.readouterr().out


def test_a_known_vulnerability_fails_the_audit_and_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    said = audit.asked_of(answer(a=["PYSEC-1", "CVE-2"], b=[]), "", [A, B])
    assert audit.report([A, B], said.known, {"pypi": said.unasked}) == 1
    assert "a==1: PYSEC-1, CVE-2" in capsys.readouterr().out


def test_an_audit_that_could_not_ask_fails_and_says_whom_it_asked(capsys: pytest.CaptureFixture[str]) -> None:
    said = audit.asked_of(answer(a=[]), "", [A, B])
    assert audit.report([A, B], said.known, {"pypi": said.unasked, "osv": {B: "no such host"}}) == 2
    told = capsys.readouterr().out
    assert "pypi said nothing about 1 of 2" in told and "no such host" in told and "pypi or osv can be reached" in told


def test_what_one_service_does_not_know_the_next_is_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[Any]]] = []

    def ask(service: str, packages: list[Any]) -> Any:
        asked.append((service, packages))
        return audit.Asked({A: []}, {B: "unknown"}) if service == "pypi" else audit.Asked({B: ["X-1"]}, {})

    monkeypatch.setattr(audit, "ask", ask)
    known, silent = audit.ask_all(["pypi", "osv"], [A, B])
    assert known == {A: [], B: ["X-1"]}
    assert asked == [("pypi", [A, B]), ("osv", [B])]
    assert silent == {"pypi": {B: "unknown"}, "osv": {}}


def test_a_lock_without_packages_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.lock").touch()
    done = subprocess.run(
        [sys.executable, FOLDER / "audit.py", "--lock", tmp_path / "empty.lock"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "locks no package" in done.stderr


@needs_tools
def test_the_bill_of_materials_names_every_package_of_the_lock_with_its_hashes(tmp_path: Path) -> None:
    bill = tmp_path / "sbom.cdx.json"
    audit.write_bill(LOCK, bill)
    written = json.loads(bill.read_text("utf-8"))
    assert written["bomFormat"] == "CycloneDX"
    named = {audit.Package(audit.normal(each["name"]), each["version"]) for each in written["components"]}
    assert named == set(audit.locked(LOCK.read_text("utf-8")))
    for component in written["components"]:
        assert component["externalReferences"][0]["hashes"], component["name"]


@needs_tools
def test_the_bill_of_materials_of_a_lock_is_always_the_same(tmp_path: Path) -> None:
    for name in ("one", "two"):
        audit.write_bill(LOCK, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@needs_tools
def test_a_service_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    said = audit.ask("osv", [audit.Package("six", "1.17.0")])
    assert said.known == {}
    assert "pip-audit gave no answer" in next(iter(said.unasked.values()))
