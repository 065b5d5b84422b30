"""The API of models: `model_routes` lists its operations."""
