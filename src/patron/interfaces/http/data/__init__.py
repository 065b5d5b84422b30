"""The API of data: `data_routes` lists its operations, and has what this server's collector counts."""
