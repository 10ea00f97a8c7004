"""HTTP for scripts: one client a session, whose every address and hop the network policy has judged.

`client.py` sends and follows, `backend.py` looks up and dials, `unpacking.py`, `text.py` and `cookies.py` read what comes back, `failures.py`
is the one border where foreign exceptions become ours.  It stands on httpcore, the transport under httpx, and not on httpx's own client:
that one reads URLs again by rules of its own, writes them to a log with their queries, and shares cookies between hosts.
Nothing here is imported before a script's first call.
"""
