"""A small imaging archive: the sample of a sibling service. `docs/sdk.md` leads through it.

It keeps images by patient; who may see, read or add one, the decision point says. Nothing here knows a rule.
"""
