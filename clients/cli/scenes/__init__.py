"""The scenes of `dmp demo`, as data: who does what, and what must be decided."""
