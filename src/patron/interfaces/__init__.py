"""How people and programs ask: command line, HTTP, console, report, charts, in two languages."""
