"""What presets leave out of the languages, by kind; an engine's declaration names what is of a kind in its language.

What no script ever has (files, processes, bytecode) is no engine's to give at all.
"""

from __future__ import annotations

CODE_FROM_TEXT = "code_from_text"
"""Without it a script runs what its reader sees, and nothing that it is told at run time."""
