"""Attacks of tests/hostile/attacks, by name: what is measured here is what the tests hold to account."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

from figures import Language, Unmeasurable

FOLDER = Path(__file__).parent.parent / "tests" / "hostile" / "attacks"


def attacks_of(language: Language, *topics: str) -> Mapping[str, Sequence[str]]:
    """Every attack of these files that the language has, each as the cells that run one after the other in one state."""
    found: dict[str, list[str]] = {}
    for topic in topics:
        for name, entry in tomllib.loads((FOLDER / f"{topic}.toml").read_text("utf-8")).items():
            if language.engine in entry:
                code = entry[language.engine]
                found[name] = [code] if isinstance(code, str) else list(code)
    return found


def chosen(language: Language, names: Sequence[str], *topics: str) -> Mapping[str, Sequence[str]]:
    known = attacks_of(language, *topics)
    if missing := [name for name in names if name not in known]:
        raise Unmeasurable(f"the attacks {', '.join(missing)} are not in {', '.join(topics)} for {language.title}")
    return {name: known[name] for name in names}
