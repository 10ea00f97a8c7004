"""What is known of one host type: how its values are written for scripts, and how they are made from what a script gives."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..values import Value


class Misfit(ValueError):
    """What a script gave does not make the type.  `problem` ("must be ...") is about the place that `steps` lead to: keys and indexes from 0."""

    def __init__(self, problem: str, steps: Sequence[str | int] = ()) -> None:
        super().__init__(problem)
        self.problem = problem
        self.steps = tuple(steps)


@dataclass(frozen=True, slots=True)
class HostType:
    """One row of the table of conversions.

    `name` is what errors and the documentation call the type.  `classes` are its classes as `module:name`, looked up where they are loaded
    and never imported; subclasses belong to it.  `claims` recognises a family that has no common class.
    """

    name: str
    classes: tuple[str, ...]
    to_plain: Callable[[Any], Value]
    """One level is enough: what the plain form holds is converted in turn.  May raise ValueError with a text for the author of the value."""
    from_plain: Callable[[Value, Any], Any] | None = None
    """(value, class) -> instance.  Raises Misfit, ValueError or TypeError for what does not fit.  None: scripts cannot make one."""
    takes: frozenset[type] = frozenset()
    """The sorts of plain values that `from_plain` looks at; empty for all but nothing."""
    wanted: str | Callable[[Any], str] = ""
    """What a script must give, for errors: "an ISO date"."""
    signature: str | Callable[[Any], str] = ""
    """The type in a signature for scripts; the class's name if empty."""
    schema: Mapping[str, Any] | Callable[[Any], Mapping[str, Any]] = field(default_factory=dict)
    """JSON schema of the plain form."""
    to_scripts: str = ""
    from_scripts: str = ""
    note: str = ""
    short: str = ""
    """What `--out name:...` calls it, where that is not the class's name."""
    claims: Callable[[type], bool] | None = None

    def loaded(self) -> list[type]:
        """Its classes, as far as their libraries are loaded."""
        return [found for each in self.classes if isinstance(found := _loaded(each), type)]

    def wanted_of(self, cls: Any) -> str:
        return self.wanted(cls) if callable(self.wanted) else self.wanted or f"a {cls.__name__}"

    def signature_of(self, cls: Any) -> str:
        return self.signature(cls) if callable(self.signature) else self.signature or str(cls.__name__)

    def schema_of(self, cls: Any) -> dict[str, Any]:
        return dict(self.schema(cls) if callable(self.schema) else self.schema)


def _loaded(place: str) -> object:
    module, _, name = place.partition(":")
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found
