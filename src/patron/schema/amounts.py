"""Amounts and numbers as people send them, converted into integer cents and counts without a rounding surprise."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from patron.schema.sentences import Sentence

IS_NOT_A_NUMBER = Sentence("is_not_a_number", "is not a number")
IS_OUT_OF_RANGE = Sentence("is_out_of_range", "is out of range")
IS_NOT_WHOLE = Sentence("is_not_whole", "is not a whole number")
IS_BELOW_ZERO = Sentence("is_below_zero", "is below zero")
MAX_AMOUNT_UNITS = Decimal(10) ** 13
"""Above this an amount is a mistake, and would not survive as an exact integer everywhere."""
MAX_CENTS = 1_000_000_000_000
"""Larger amounts are a mistake (a barcode in the wrong column), and sums of them would not fit 64 bits."""


def decimal_of(value: object) -> Decimal:
    """Read a number or its text exactly. Raises ValueError for anything else, for infinity and for NaN."""
    if isinstance(value, bool):
        raise ValueError(IS_NOT_A_NUMBER)  # noqa: TRY004 - callers turn one kind of error into a dead letter
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise ValueError(IS_NOT_A_NUMBER) from None
    if not number.is_finite() or abs(number) >= MAX_AMOUNT_UNITS:
        raise ValueError(IS_OUT_OF_RANGE)
    return number


def cents_of(value: object) -> int:
    """Convert units of a currency into hundredths, rounding half to even. Raises ValueError."""
    return int((decimal_of(value) * 100).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def count_of(value: object) -> int:
    """Read a whole number of 0 or more. Raises ValueError."""
    number = decimal_of(value)
    if number != number.to_integral_value():
        raise ValueError(IS_NOT_WHOLE)
    if number < 0:
        raise ValueError(IS_BELOW_ZERO)
    return int(number)
