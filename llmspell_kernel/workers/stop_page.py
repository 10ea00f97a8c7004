"""The page that host and worker share for the soft stop; both ends import only this of each other.

Its text is `LLMSPELL_STOP=0`: a byte for JavaScript's interrupt handler, an environment variable for Lua's captured os.getenv.  Behind it
stands which state is meant: in a worker of many states the one that runs next must not be stopped in its place.
"""

STOP_VARIABLE = "LLMSPELL_STOP"
PAGE_BYTES = 4096
TARGET_AT = 64
TARGET_BYTES = 8
