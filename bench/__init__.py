"""Measured side by side with peers, in one run: `make bench`, or `python -m bench NAME ...`.

What is measured, how, and how to read it is in `docs/benchmarks.md`. Nothing here is part of the product,
and nothing in the default tests looks at a clock.
"""
