"""Asks for known vulnerabilities of everything in a lock file, and writes its bill of materials.

python checks/audit.py [--lock requirements.lock] [--sbom sbom.cdx.json] [--service pypi osv]

Rules
- A package about which no service could be asked is a failure, not a pass: pip-audit itself counts what it skipped as fine.
- Lines for other systems and Pythons count too, so markers are cut off; a package that is locked in two versions is asked about twice.
- The bill of materials is made from the lock alone, without a network, before anything is asked.

Ends with 0 where every package was asked about and none has a known vulnerability, 1 where one has, 2 where one could not be asked about.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

SERVICES = ("pypi", "osv")
TIMEOUT_S = 900
ENTRY = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[^\s;\\]+)", re.MULTILINE)


class Package(NamedTuple):
    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}=={self.version}"


class Asked(NamedTuple):
    """What one service said: the identifiers of what is known about a package, and why others could not be asked about."""

    known: Mapping[Package, Sequence[str]]
    unasked: Mapping[Package, str]


def locked(text: str) -> list[Package]:
    return [Package(normal(found["name"]), found["version"]) for found in ENTRY.finditer(text)]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def batches(packages: Iterable[Package]) -> list[list[Package]]:
    """pip-audit refuses a name that comes twice, so each of its versions goes into another batch."""
    made: list[dict[str, Package]] = []
    for package in packages:
        free = next((batch for batch in made if package.name not in batch), None)
        if free is None:
            made.append(free := {})
        free[package.name] = package
    return [list(batch.values()) for batch in made]


def ask(service: str, packages: Sequence[Package]) -> Asked:
    known: dict[Package, Sequence[str]] = {}
    unasked: dict[Package, str] = {}
    for batch in batches(packages):
        said = asked_of(*run_pip_audit(service, batch), batch)
        known |= said.known
        unasked |= said.unasked
    return Asked(known, unasked)


def run_pip_audit(service: str, packages: Sequence[Package]) -> tuple[str, str]:
    """Its stdout and stderr.  The versions are exact and there is nothing to resolve, so that neither pip nor an index is needed."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{package}\n" for package in packages))
        file.flush()
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--requirement", file.name]
        options = ["--vulnerability-service", service, "--format", "json", "--progress-spinner", "off"]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=TIMEOUT_S)
    return done.stdout, done.stderr


def asked_of(stdout: str, stderr: str, packages: Sequence[Package]) -> Asked:
    """Reads pip-audit's answer.  What it does not name at all was not asked about either."""
    try:
        found: list[dict[str, Any]] = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError):
        lines = stderr.strip().splitlines() or ["it said nothing"]
        return Asked({}, dict.fromkeys(packages, f"pip-audit gave no answer: {lines[-1]}"))
    said = {
        Package(normal(entry["name"]), entry["version"]): [each["id"] for each in entry["vulns"]] for entry in found if "version" in entry
    }
    known = {package: said[package] for package in packages if package in said}
    skipped = {normal(entry["name"]): entry["skip_reason"] for entry in found if "skip_reason" in entry}
    unasked = {package: skipped.get(package.name, "pip-audit does not name it") for package in packages if package not in known}
    return Asked(known, unasked)


def ask_all(services: Sequence[str], packages: Sequence[Package]) -> tuple[dict[Package, Sequence[str]], dict[str, Mapping[Package, str]]]:
    """What is known about each package, from the first service that knows it; and by service what that one could not say."""
    known: dict[Package, Sequence[str]] = {}
    silent: dict[str, Mapping[Package, str]] = {}
    for service in services:
        left = [package for package in packages if package not in known]
        if not left:
            break
        said = ask(service, left)
        known |= said.known
        silent[service] = said.unasked
    return known, silent


def write_bill(lock: Path, bill: Path) -> None:
    """CycloneDX JSON, the same for the same lock.  A line that comes in several versions is a component for each."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(lock), "--of", "JSON", "--output-reproducible", "-o", str(bill)]
    subprocess.run(command, check=True, timeout=TIMEOUT_S)


def report(packages: Sequence[Package], known: Mapping[Package, Sequence[str]], silent: Mapping[str, Mapping[Package, str]]) -> int:
    vulnerable = {package: ids for package, ids in known.items() if ids}
    for package, ids in vulnerable.items():
        print(f"VULNERABLE  {package}: {', '.join(ids)}")
    unasked = [package for package in packages if package not in known]
    for service, reasons in silent.items():
        if reasons:
            print(f"NOT ASKED   {service} said nothing about {len(reasons)} of {len(packages)}; the first: {next(iter(reasons.values()))}")
    print(f"{len(known)} of {len(packages)} packages were asked about, {len(vulnerable)} of them have known vulnerabilities.")
    if vulnerable:
        return 1
    if unasked:
        print(
            f"{len(unasked)} could not be asked about, so this audit says nothing about them. Run it where {' or '.join(silent)} can be reached."
        )
        return 2
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Known vulnerabilities of a lock file, and its bill of materials.")
    parser.add_argument("--lock", type=Path, default=Path("requirements.lock"), metavar="FILE")
    parser.add_argument("--sbom", type=Path, default=Path("sbom.cdx.json"), metavar="FILE", help="where the bill goes (CycloneDX JSON)")
    parser.add_argument("--service", nargs="+", choices=SERVICES, default=list(SERVICES), help="whom to ask, one after the other")
    given = parser.parse_args()
    packages = locked(given.lock.read_text("utf-8"))
    if not packages:
        parser.error(f"{given.lock} locks no package")
    write_bill(given.lock, given.sbom)
    print(f"The bill of materials of {len(packages)} packages is in {given.sbom}.")
    return report(packages, *ask_all(given.service, packages))


if __name__ == "__main__":
    sys.exit(main())
