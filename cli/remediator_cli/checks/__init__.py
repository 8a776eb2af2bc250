"""What a change of infrastructure code does to the enrolled roles, before it is applied: verdicts, and their forms.

The verdicts come from the functions of the deployed remediator; the files are read in ``iac``.
"""
