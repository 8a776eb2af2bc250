"""The Lambda functions: one module each, and ``consumer`` for what they share.

Decided here: the clients and the World of a function, which messages fail and come again, what is logged and counted.
Not decided here: what is done with a message (``flows``).
"""
