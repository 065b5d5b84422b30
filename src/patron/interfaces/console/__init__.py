"""The console: pages for people, rendered on the server; every state is an address with a JSON twin."""
