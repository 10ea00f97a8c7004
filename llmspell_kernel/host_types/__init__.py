"""Python's own types at the border: how data classes, dates, frames and the like become plain data for scripts, and come back.

One public module, one family of types: it holds `TYPES`, a sequence of `HostType`, and is found by being here.  Above values, below whatever
meets a value.  No library of such a type is ever imported: a value of it can only exist where its library is loaded.
"""
