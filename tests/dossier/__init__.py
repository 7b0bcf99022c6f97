"""Tests of the record itself."""
