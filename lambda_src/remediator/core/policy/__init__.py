"""The language of IAM policies: ARNs, documents, statements, conditions, principals.

Decided here: how a document is read (present, absent or unreadable), what its statements match, how two documents
compare, and how one is edited without touching the statements of others. This room knows nothing of Anyscale, of the
remediator's roles or of buckets. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies.html
"""
