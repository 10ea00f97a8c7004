"""Agents: a model that uses tools until it has an answer.

`definition` says what one is, `messages` what it has said, `loop` runs it by pydantic-ai, `saved` writes it down.  pydantic-ai is imported by
`loop` alone, and that by nothing before the first agent runs: it takes more than a second.
"""
