"""Whether a role may be touched: a tag is a request, not an authority.

Decided here: whether a role is managed, off or refused, by its tag, its name, its trust policy, who enrolled it and how
privileged it is; whether it was quarantined on purpose; and the policies that keep others from enrolling roles. Not
decided here: what a managed role lacks (``repair``).
"""
