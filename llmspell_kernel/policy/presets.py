"""What each preset is made of, in one place: limits, layers, what scripts may call, and what their language lacks."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from . import limits
from .decide import Grants
from .languages import CODE_FROM_TEXT
from .layers import PRESET_LAYERS, Confinement
from .limits import Limits


class Preset(NamedTuple):
    limits: Limits
    confinement: Confinement
    grants: Grants
    """Stand above those of the settings: these can narrow them, and never widen."""
    tables: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    """By table, what differs from its defaults."""
    left_out: tuple[str, ...] = ()
    """Kinds of things in languages that scripts do not have."""


FILES = ("storage.read", "storage.write", "storage.append", "storage.list", "storage.info", "storage.remove", "storage.exists")

PRESETS: Mapping[str, Preset] = {
    "minimal": Preset(limits.PRESETS["minimal"], PRESET_LAYERS["minimal"], Grants(source="the preset minimal")),
    "standard": Preset(limits.PRESETS["standard"], PRESET_LAYERS["standard"], Grants(source="the preset standard")),
    "strict": Preset(
        limits.PRESETS["strict"],
        PRESET_LAYERS["strict"],
        Grants(
            deny=("http.*", *FILES),
            ask_levels=("write", "dangerous"),
            source="the preset strict",
            mend="choose the preset standard where scripts may have it",
        ),
        left_out=(CODE_FROM_TEXT,),
        tables={"budgets": {"unknown_price": "refuse"}},
    ),
}
