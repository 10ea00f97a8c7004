"""One file, one bridge: what scripts can call.  `_bridge.py` is the interface, `_declaration.py` reads signatures, `_registry.py` finds bridges,
`_outlines.py` knows what they offer before they are imported.

Imports services, values, shown, host_types, errors and what `Context` offers; never another bridge, an engine, workers or protocol.
To add one: NAME.py here (or a package with an entry point in `llmspell.bridges`) with a subclass of Bridge, and one test;
`python -m llmspell_kernel.bridges._outlines` then writes down what it offers.
"""
