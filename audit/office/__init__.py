"""The auditor's office: what follows from the log, and how auditors and patients get to see it.

Nothing here is the truth: all of it is derived from the log's bytes, behind the decisions, and can be
made again.
"""
