"""Runs the audit: `python -m audit`, which is what `dmp serve audit` does."""
