"""Conversations that outlive the kernel: messages by name in the database of kept values (services.storage), and ways to find them.

`conversations.py` is what others use; all of it blocks, so callers run it in threads.
"""
