"""What everyone stands on: errors, settings, tables, engine, lake, store and the shop that holds them."""
