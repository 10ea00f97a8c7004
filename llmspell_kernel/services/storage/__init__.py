"""What scripts keep: files in a folder of theirs that no path leads out of (jail), and values by key in a database (keys).

`jail.py` and `keys.py` are what others use; they take the policy as an argument.  All of it blocks, so callers run it in threads.
"""
