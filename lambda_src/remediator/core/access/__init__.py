"""Whether AWS would allow what a cluster does, by every document that is about the request.

Decided here: which S3 and KMS actions a cluster needs, the condition keys that its requests carry, which policies take
part, and the verdict on each action on a bucket or key: allowed, missing, blocked or undecided. Not decided here: what
is done about it (``repair``), and how a single policy statement is read and matched (``policy``).
"""
