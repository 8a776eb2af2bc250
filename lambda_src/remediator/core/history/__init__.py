"""What was written and what is stored of each role from one reconcile to the next.

Decided here: the record of a change and what became of an interrupted one, whether a change can be undone, when
repairs have become a conflict with another principal, and what the pause parameter stops. Not decided here: when a
record is written (``flows.write``), and where it is kept (``gateways.history``).
"""
