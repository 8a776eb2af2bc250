"""One module per command, each with one function of the command's name.

Importing a module of this package imports no SDK: ``--help`` and completion stay quick, and commands that work on
files need neither credentials nor a network. A command that calls AWS gets its gateways when it runs.

The members of a JSON object that a command prints have a fixed order, and all of them are always there unless its
function (``…_record``) says otherwise.
"""
