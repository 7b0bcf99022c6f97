"""How a process of ours is served: listeners, TLS and its callers, statuses, watched files, service log."""
