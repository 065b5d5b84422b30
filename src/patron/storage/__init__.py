"""Where data lives: lake, operational store, engine, fitted models, and the shop (workspace) that holds them."""
