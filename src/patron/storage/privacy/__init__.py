"""Requests of people about their data, as rows: `privacy_tables`; which erasures there were: `erasures`."""
