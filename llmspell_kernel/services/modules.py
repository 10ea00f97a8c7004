"""The modules of one session: sources by name and language, which scripts load with `require`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmspell_kernel.errors import ConfigError, ScriptError, nearest

NAME = re.compile(r"[a-z_][a-z0-9_./-]{0,99}")
"""As a file's path without its ending: `text/words`.  Short enough for a chunk's name."""


def chunk_of(name: str) -> str:
    """What errors call a module's code."""
    return f"module[{name}]"


class ModuleLibrary:
    """`max_bytes` is what one module may hold: it goes to a script as one value."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._sources: dict[str, dict[str, str]] = {}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(name, language) of each module, sorted."""
        return iter(sorted((name, language) for name, sources in self._sources.items() for language in sources))

    def add(self, name: str, source: str, language: str) -> None:
        """Adds a module, or replaces the one of that name and language.  Raises ConfigError for a name or a source that cannot be one."""
        if not NAME.fullmatch(name) or ".." in name:
            raise ConfigError(
                f"'{name[:120]}' cannot name a module: use small letters, digits and _ . / - (no '..'), beginning with a letter or _, "
                "at most 100 characters"
            )
        try:
            size = len(source.encode())
        except UnicodeEncodeError:
            raise ConfigError(f"the source of the module '{name}' holds a lone surrogate, which is not valid Unicode") from None
        limit = self._max_bytes // 2  # its text as JSON may be twice as long, with every quote and line end escaped
        if size > limit:
            raise ConfigError(f"the module '{name}' has {size} bytes, the limit is {limit}; split it, or pass data as values")
        self._sources.setdefault(name, {})[language] = source

    def remove(self, name: str, language: str) -> None:
        """Takes a module away; ConfigError where there is none."""
        if language not in self._sources.get(name, {}):
            raise ConfigError(f"there is no {language} module '{name}'{nearest(name, self.names())}")
        del self._sources[name][language]
        if not self._sources[name]:
            del self._sources[name]

    def source(self, name: str, language: str) -> str:
        """Raises ScriptError: `unknown_module` with the nearest names, `module_language` where only other languages have it."""
        sources = self._sources.get(name)
        if sources is None:
            known = (
                ""
                if self._sources
                else "; no module is registered: add one by a cell with --module NAME, by llmspell.add_module, or by `llmspell run --module FILE`"
            )
            raise ScriptError(f"there is no module '{name[:120]}'{known or nearest(name[:120], self.names())}", code="unknown_module")
        if language not in sources:
            raise ScriptError(
                f"the module '{name}' is written in {' and '.join(sorted(sources))}, not in {language}", code="module_language"
            )
        return sources[language]

    def names(self) -> list[str]:
        return sorted(self._sources)
