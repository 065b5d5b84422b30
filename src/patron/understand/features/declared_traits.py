"""What the customer declared, the last value before the cutoff; nothing identifying or sensitive."""

from patron.understand.features.feature_family import Family, known_before


def rows(_zone: str) -> str:
    """Declared values known by the cutoff, newest first."""
    facts = "select customer_id, trait, value, event_id, occurred_at, known_at as first_known_at, known_at from traits"
    return f"""
        select t.*, row_number() over (
            partition by customer_id, as_of, trait
            order by occurred_at desc, first_known_at desc, event_id desc) as place
        from ({known_before(facts, columns="trait, value, event_id, occurred_at, first_known_at")}) t"""


def _declared(trait: str) -> str:
    return f"max(case when place = 1 and trait = '{trait}' then value end)"


def declared_income() -> str:
    """Declared income bracket."""
    return _declared("income")


def declared_home_ownership() -> str:
    """Declared home ownership."""
    return _declared("home_ownership")


def declared_household_size() -> str:
    """Declared household size."""
    return _declared("household_size")


def declared_country() -> str:
    """Declared country."""
    return _declared("country")


def declared_region() -> str:
    """Declared region."""
    return _declared("region")


def declared_language() -> str:
    """Declared language."""
    return _declared("language")


def declared_loyalty_tier() -> str:
    """Tier of the loyalty programme."""
    return _declared("loyalty_tier")


def declared_registration_channel() -> str:
    """Channel of registration, as declared."""
    return _declared("registration_channel")


def declared_acquisition_channel() -> str:
    """Channel that won the customer, as declared."""
    return _declared("acquisition_channel")


FAMILY = Family(
    "traits",
    rows,
    (),
    (
        declared_income,
        declared_home_ownership,
        declared_household_size,
        declared_country,
        declared_region,
        declared_language,
        declared_loyalty_tier,
        declared_registration_channel,
        declared_acquisition_channel,
    ),
)
FEATURES = FAMILY.features
