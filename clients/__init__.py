"""What people and programs use: the command line today; portals and an SDK in time."""
