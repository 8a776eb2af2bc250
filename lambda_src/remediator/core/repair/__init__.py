"""What is wrong with a managed role, and which documents are written to repair it.

Decided here: the findings about each kind of document (trust policy, the remediator's inline policy, bucket policy,
instance profile, key), what the document should be, what it is without anything of the remediator, what keeps it from
being written, and the one word for the result of a reconcile. Not decided here: whether the role may be touched at all
(``enrollment``), whether AWS would allow a request (``access``), and how a write is carried out (``flows.write``).
"""
