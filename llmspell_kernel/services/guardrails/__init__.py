"""What guardrails look for in texts: personal data (personal), keys and tokens (secrets), patterns, lengths and shapes (checks).

Plain functions over text, called in threads by whoever has an event loop.  Texts and patterns are hostile: each search has a time.
"""
