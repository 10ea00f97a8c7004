"""Faults by injection: one file a row of the table in docs/faults.md, in real kernels with real workers, on every engine."""
