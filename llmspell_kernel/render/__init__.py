"""Journal records and values -> MIME bundles.  Pure functions over data; imports journal events, values, shown and errors only.

To add a renderer: one function in a file named after what it shows.
"""
