"""The whole service, through every door."""
