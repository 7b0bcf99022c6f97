"""The registry: what is true of each patient, and that no caller may assert.

Dossier status, consents, authorisations, treating doctors, blocks and representatives; the changes
that are possible; the tables that keep them. It knows no policy and no wire: whether a change *may*
happen is decided elsewhere, here is only whether it *can*.

==============  ===================================================================
`state`         one patient, and the questions that rules ask about them (pure)
`duration`      calendar durations such as `P1Y` (pure)
`changes`       the closed set of changes (pure)
`apply`         what each change does, with its `guards` (pure)
`tables`        the tables, and how instants and dates are written
`rows`          states to rows and back
`store`         the cache of states, the change feed, the active bundle
`feed`          what happened after a revision, for those who follow from outside
`requests`      changes that were asked for under an id, and what was answered
`database`      opens a database safely and brings its tables up to date
`sqlite`        what opening safely means for SQLite
`postgresql`    what it means for PostgreSQL, and what one of its commits really tells
`migrations/`   the steps from one shape of the tables to the next, for Alembic
==============  ===================================================================
"""
