"""The HTTP server: collector protocol, JSON API, and the application that holds them with the console."""
