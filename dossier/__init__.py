"""The record itself: documents behind permits."""
