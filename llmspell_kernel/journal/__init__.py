"""What happened, as data: event types and the recorder that every event goes through.

Events import values and errors only; render reads them; session emits them, in one place.
To add an event: a frozen struct here in `events`, and a case wherever it should be shown.
"""
