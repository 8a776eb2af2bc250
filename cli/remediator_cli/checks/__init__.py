"""Checks of files before anything is deployed: templates, plans, policy cases and events.

They are assessed with the functions that the deployed remediator uses."""
