"""Every public name, as data: what others may rely on changes only on purpose.

`public_names.json` is what was settled.  To accept a change: `python -m tests.snapshot --write`, and look at the difference before it is
committed.  Each module here reads one side: Python's names, what is declared (errors, events, settings, commands), and what scripts see.
"""
