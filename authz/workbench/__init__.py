"""The compliance officer's workbench: what a policy folder is worth, before it decides anything.

==============  ==============================================================
`folder`        reads a policy folder whole
`check`         every mistake in it, and what has no effect
`cast`          the people, structures, documents and patients of scenarios
`given`         the state of the registry that a scenario gives
`asked`         the query that a scenario asks, with its `change`
`scenarios`     reads the scenarios, and runs them against a bundle
`properties`    reads the "never" and "always" sentences
`cases`         splits all requests into cases that are decided alike
`verify`        checks the sentences, case by case
`report`        mistakes and counts, as text and JSON
`results`       scenarios and properties, as text and JSON; `junit` for servers
`commands`      `dmp policy`
==============  ==============================================================

All but `folder` and `commands` is pure: bytes of files go in, values come out.
"""
