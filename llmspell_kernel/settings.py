"""What a user can set, as one frozen object that kernel and cli make and pass in."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

DISPLAY_MODES = ("auto", "live", "static")
CASSETTE_ENDING = ".cassette.jsonl"
JOURNAL_MODES = ("off", "record", "replay", "auto")
PYTHON = "python"
"""As `engine`: plain cells are Python's.  No engine can be called so."""


class Origin(NamedTuple):
    """Who set a value: `name` is a file, a variable or an option; `line` and `column` count from 1, 0 where there are none."""

    name: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.name}, line {self.line}" if self.line else self.name


DEFAULT = Origin("default")


class Settings(NamedTuple):
    """`llmspell_kernel.configuration` says what each may be, and reads them; `Settings()` are the defaults."""

    preset: str = "standard"
    """Sets all limits at once; those in `limits` then change single ones."""
    display: str = "auto"
    """How answers appear: "live" as they come, "static" once at the end, for notebooks under test; "auto" is live in a Jupyter kernel."""
    seed: int = 0
    """Starts every state's random numbers."""
    model: str = ""
    """Answers where a call names none; "" leaves the choice to what is installed."""
    engine: str = ""
    """The language of plain cells and of scripts whose file does not tell; "" where none is chosen."""
    journal: str = "off"
    """Are calls written to a cassette ("record"), answered from one ("replay"), or what it lacks made and added ("auto")?"""
    keep_journal: bool = True
    """Do sessions in notebooks keep what their calls were in .llmspell/journal, for `llmspell trace`, `cost` and `diff`?"""
    cassette: str = ""
    """The file for it; "" for NAME.cassette.jsonl beside the notebook NAME."""
    confinement: str = "auto"
    """Which layers of the operating system hold the workers: those of the preset ("auto"), or none ("off"; see policy.layers)."""
    limits: Mapping[str, float] = MappingProxyType({})
    """By field of policy.limits.Limits, what differs from the preset."""
    allow: tuple[str, ...] = ("*",)
    """What scripts may call: `bridge.method` names, or patterns such as `llm.*`."""
    deny: tuple[str, ...] = ()
    """What they may not call; a deny wins over every allow."""
    ask: tuple[str, ...] = ()
    """What the user is asked about before each call."""
    network: Mapping[str, Any] = MappingProxyType({})
    """By field of policy.network.NetworkPolicy, what differs from its default; so each of the tables below."""
    files: Mapping[str, Any] = MappingProxyType({})
    """Of policy.files.FilePolicy."""
    budgets: Mapping[str, Any] = MappingProxyType({})
    """Of policy.budgets.Budgets."""
    workers: Mapping[str, Any] = MappingProxyType({})
    """Of policy.workers.WorkerPolicy."""
    observe: Mapping[str, Any] = MappingProxyType({})
    """Of policy.observe.ObservePolicy."""
    secrets: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """By name of a secret: where its value comes from, and the hosts it may be sent to."""
    init: Mapping[str, str] = MappingProxyType({})
    """By engine: a script that runs in every fresh state."""
    mcp: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """By name of an MCP server: the program or the URL whose tools scripts and agents may call."""
    origins: Mapping[str, Origin] = MappingProxyType({})
    """By key (`display`, `limits.effects`, `grants.deny`), of the values that are not defaults."""

    def origin(self, key: str) -> Origin:
        """Where a value comes from; a limit that nobody set alone comes with its preset."""
        if key.startswith("limits.") and key not in self.origins:
            return self.origins.get("preset", DEFAULT)
        return self.origins.get(key, DEFAULT)

    def place(self, key: str, item: str = "") -> str:
        """The same for a message: "" for a default, or for what a program has set.  Of an `item` of a list to which a project's file added,
        the place where it stands."""
        origin = self.origins.get(item_key(key, item)) or self.origin(key)
        return "" if origin == DEFAULT else str(origin)


def item_key(key: str, item: str) -> str:
    """In Settings.origins, of an item of a list that has come from somewhere else than the list."""
    return f"{key}: {item}"
