"""Keeps the IAM roles of Anyscale clusters usable: EC2 may assume them, and they reach their cloud's bucket."""

__version__ = "0.1.0"
