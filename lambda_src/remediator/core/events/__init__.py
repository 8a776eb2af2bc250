"""What arrives: CloudTrail's events, requests to reconcile a role, requests for a sweep.

Decided here: which calls are watched, which role, policy, bucket or key an event names, who made the call, and the
form of the messages between the functions. Not decided here: what the role is like now; an event is a doorbell, never
a witness.
"""
