"""Charts as Altair specifications, drawn as SVG on the server, each with a description and a table."""
