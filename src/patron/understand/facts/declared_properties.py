"""Properties that an event declares and that have no column of their own."""


def declared_text(of: str, name: str) -> str:
    """SQL of a property as text."""
    return f"json_extract_string({of}.properties, '$.{name}')"


def declared_time(of: str, name: str, zone: str) -> str:
    """SQL of a property as a time, a date alone its midnight in the zone; NULL where it is no time."""
    text = declared_text(of, name)
    return f"case when length({text}) = 10 then midnight({text}, {zone}) else try_cast({text} as timestamptz) end"
