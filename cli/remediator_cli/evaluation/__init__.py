"""Answers about what is described in files, without an account: cases of roles, and events of CloudTrail.

What is read here is assessed by the functions of the deployed remediator; how answers are printed is their command's.
"""
