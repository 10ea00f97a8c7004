"""One file, one bridge: what scripts can call.  `_bridge.py` is the interface, `_declaration.py` reads signatures, `_registry.py` finds bridges.

Imports services, values, shown, host_types, errors and what `Context` offers; never another bridge, an engine, workers or protocol.
To add one: NAME.py here (or a package with an entry point in `llmspell.bridges`) with a subclass of Bridge, and one test.
"""
