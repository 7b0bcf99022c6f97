"""The registry: what is true of each patient, and that no caller may assert.

Dossier status, consents, authorisations, treating doctors, blocks and representatives; the changes
that are possible; the tables that keep them. It knows no policy and no wire: whether a change *may*
happen is decided elsewhere, here is only whether it *can*.

==============  ===================================================================
`state`         one patient, and the questions that rules ask about them (pure)
`changes`       the closed set of changes (pure)
`apply`         what each change does, with its `guards` (pure)
`tables`        the tables, and how instants and dates are written
`rows`          states to rows and back
`standing`      what reviews have left professionals with, of no patient
`store`         the cache of states, the change feed, the active bundle
`feed`          what happened after a revision, for those who follow from outside
`requests`      changes that were asked for under an id, and what was answered
`listing`       which patients have given somebody an authorisation, page by page
`database`      brings the tables up to date, and lets a role serve on them
`roles`         what that role may do
`migrations/`   the steps from one shape of the tables to the next, for Alembic
==============  ===================================================================
"""
