"""What people and machines are notified of, and in which words and form.

Decided here: whether an outcome is news, a reminder or a resolution; the sections of an alert, and how each channel
(e-mail, Slack, Amazon Q, JSON) shows them; what is sent individually and what goes into a digest. Not decided here:
what is wrong with a role (``repair``), and when and through which service a message is sent (``flows``, ``gateways``).
"""
