"""What everyone agrees on: events, tables, questions, metrics, errors and plain types."""
