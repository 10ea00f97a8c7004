"""What must not be possible, one file an attack, on every engine."""
