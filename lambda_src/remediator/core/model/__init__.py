"""Roles, buckets, keys and instance profiles as they were read, and the values that other rooms exchange about them.

Decided here: the form of what was observed, of a finding, and of one write; and the names that mark what belongs to the
remediator. Nothing is assessed here.
"""
