"""The API of privacy: `privacy_routes` lists its operations, and has what needs the request."""
