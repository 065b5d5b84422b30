"""Steps of the store's layout, oldest first; an existing one is never changed."""
