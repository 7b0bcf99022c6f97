"""Tests of the decision point."""
