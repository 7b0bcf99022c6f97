"""How a database of ours is opened, so that a commit that returned is durable; and how its tables change."""
