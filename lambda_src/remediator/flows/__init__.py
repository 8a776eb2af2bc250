"""What is done, in order, with a World that holds the gateways, the configuration and the clock.

Decided here: which calls are made in which order, what is recorded before and after a write, what is tried again, and
which word the outcome of a reconcile gets where it ends early. Not decided here: what is wrong and what is to be
written (``core``), and how AWS is asked (``gateways``). No SDK, no environment.
"""
