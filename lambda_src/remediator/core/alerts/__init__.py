"""What people and machines are notified of, and in which words and form.

Decided here: whether an outcome is news, a reminder or a resolution; the sections of an alert, and how each channel
(e-mail, Slack, Amazon Q, JSON) shows them; and what a digest says. Not decided here: what is wrong with a role
(``repair``), and when, through which service, and with which digest a message is sent (``flows``, ``gateways``).
"""
