"""The only place that uses the network: AWS, and Slack's webhook.

Decided here: how each call is made, which answer means present, absent or unreadable, which kind of error an error code
is, and how records are kept in the table. Not decided here: when a call is made (``flows``).
"""
