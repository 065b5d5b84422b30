"""How people and programs ask: command line, HTTP API, console, report."""
