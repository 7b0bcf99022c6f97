"""Slow and obvious models that the fast code must agree with."""
