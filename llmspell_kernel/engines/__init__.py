"""One folder, one engine: interpreter.py, prelude, stdlib scripts.  `_engine.py` is the interface; `_registry.py` finds engines.

Runs in the worker only (the host reads just the registry's declarations); imports protocol, values and errors.
To add one: a folder here, or a package with an entry point in the group `llmspell.engines`; the conformance suite runs on it at once.
"""
