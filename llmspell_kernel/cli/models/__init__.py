"""Which models scripts can use; the one that runs here."""
