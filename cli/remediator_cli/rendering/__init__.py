"""How roles, findings, writes and changes look in what several commands print, as JSON and as text.

What only one command prints is in the module of that command.
"""
