"""What host and worker say to each other: messages, legal transitions, framing.  Sans-IO: no process, socket, clock or event loop here.

Imported by workers (both ends), engines and session; imports only values and errors.
To add a message: a struct in `messages`, its row in `transitions.TABLE`; the tests walk the table.
"""
