"""The keys of patients, kept apart from what they open (`docs/keys.md`)."""
