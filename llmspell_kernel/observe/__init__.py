"""Tells other programs what a session does: OpenTelemetry spans, Prometheus metrics, structured logs, each fed by the session's events.

`observation.Observation` is the way in, for spells, kernel and cli.  A further subscriber is a module with a class of the shape
`observation.Subscriber`, and a line in `Observation`.  Nothing here knows the session: events, values, errors and settings are all it sees.

Rules
- Nothing of OpenTelemetry or Prometheus is imported before the user switches it on.
- A subscriber that fails is dropped and told of once; no cell fails for it.
- Prompts, answers, sources and messages of errors leave only where OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says so.  What scripts
  choose freely (names of models, of methods that are not there) is cut, and becomes no label without bound.
"""
