"""Fakes that ship with the package, for tests of bridges and sessions without a process or a provider.  May import anything."""
