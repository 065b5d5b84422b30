"""Every text and number people see, in English and Chinese."""

LOCALES = ("en", "zh_CN")
"""Languages of console and report; the first is the default."""
