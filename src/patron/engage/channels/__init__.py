"""How messages reach people: one file a channel."""
