"""Which models scripts can use, and the one that runs on this machine."""
