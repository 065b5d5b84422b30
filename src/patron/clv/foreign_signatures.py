"""What help says first, and the right name for calls that other libraries, or a hurry, suggest."""

import inspect
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

FITTERS = {
    "BetaGeoFitter": "BetaGeo",
    "ModifiedBetaGeoFitter": "ModifiedBetaGeo",
    "ParetoNBDFitter": "ParetoNBD",
    "BetaGeoBetaBinomFitter": "BetaGeoBetaBinom",
    "GammaGammaFitter": "GammaGamma",
    "BetaGeoModel": "BetaGeo",
    "ParetoNBDModel": "ParetoNBD",
    "ModifiedBetaGeoModel": "ModifiedBetaGeo",
    "GammaGammaModel": "GammaGamma",
    "summary_data_from_transaction_data": "rfm(orders, until=...)",
    "calibration_and_holdout_data": "rfm(orders, until=..., holdout_until=...)",
    "rfm_summary": "rfm(orders, until=...)",
    "customer_lifetime_value": "lifetime_value(orders, spend, summary, horizon=...)",
}
"""Names of lifetimes and pymc-marketing, and those of this library."""
METHODS = {
    "conditional_expected_number_of_purchases_up_to_time": "expected_purchases(summary, horizon)",
    "expected_number_of_purchases_up_to_time": "expected_purchases_new(horizon)",
    "conditional_probability_alive": "probability_alive(summary)",
    "expected_probability_alive": "probability_alive(summary)",
    "expected_purchases_new_customer": "expected_purchases_new(horizon)",
    "conditional_probability_of_n_purchases_up_to_time": "purchase_count_distribution(summary, horizon)",
    "probability_of_n_purchases_up_to_time": "purchase_count_distribution(None, horizon)",
    "conditional_expected_average_profit": "expected_spend(summary)",
    "expected_customer_spend": "expected_spend(summary)",
    "customer_lifetime_value": "lifetime_value(orders, spend, summary, horizon=...) of patron.clv",
    "params_": "params",
    "standard_errors_": "standard_errors",
    "confidence_intervals_": "summary()",
    "fit_summary": "summary()",
    "save_model": "save(path)",
    "load_model": "load_model(path) of patron.clv",
}
ARRAYS = "frequency=..., recency=..., T=..."
ORDERS = ("customer", "user", "email", "date", "time", "ordered", "created", "invoice")
"""Parts of the names of columns that orders have, and summaries do not."""


def refuse_name(name: str) -> NoReturn:
    """Answer for a name that `patron.clv` does not have. Raises ImportError for one of another library's."""
    if name in FITTERS:
        raise ImportError(f"{name} is {FITTERS[name]} in patron.clv", name="patron.clv")
    if name.startswith("plot"):
        raise ImportError(f"{name}: charts are functions of patron.plots", name="patron.clv")
    raise AttributeError(f"module 'patron.clv' has no attribute {name!r}")


def refuse_method(owner: object, name: str) -> NoReturn:
    """Answer for a method that a model does not have. Raises AttributeError."""
    kind = type(owner).__name__
    if name in METHODS:
        raise AttributeError(f"{name} of other libraries is {METHODS[name]} here")
    if name.startswith("plot"):
        raise AttributeError(f"{kind} has no {name}: charts are functions of patron.plots")
    raise AttributeError(f"{kind} has no attribute {name!r}")


def refuse_unfitted(learner: object, name: str, answers: type) -> NoReturn:
    """Answer for what only a fitted model has. Raises AttributeError."""
    kind = type(learner).__name__
    right = METHODS.get(name, name).partition("(")[0]
    if not right.startswith("_") and hasattr(answers, right):
        raise AttributeError(f"{kind} is not fitted: fitted = {kind}().fit(summary), then fitted.{right}")
    refuse_method(learner, name)


def fit_input(summary: Any, positional: tuple[Any, ...], columns: dict[str, Any], names: str = ARRAYS) -> Any:
    """What `fit` was called with: a summary, or columns by name. Raises TypeError for anything else."""
    given = {name: column for name, column in columns.items() if column is not None}
    if isinstance(given.get("unit"), str) and len(given) > 1:
        given["unit"] = np.full(len(next(iter(given.values()))), given["unit"])
    if positional:
        raise TypeError(f"fit takes one summary, or arrays by name: fit({names})")
    if summary is not None and given:
        raise TypeError(f"fit takes a summary or arrays, not both: fit(summary), or fit({names})")
    if summary is None and not given:
        raise TypeError(f"fit needs a summary, as rfm(orders, until=...) makes it, or arrays: fit({names})")
    return given if summary is None else summary


def hint_for_missing(names: list[str]) -> str:
    """What to do when a table lacks a summary's columns."""
    if any(part in name.lower() for name in names for part in ORDERS) and "T" not in names:
        return "; these look like orders: make a summary of them with rfm(orders, until=...)"
    return ""


def with_methods(doc: str | None, owner: type, names: Sequence[str], first: str = "") -> str:
    """A class's docstring, followed by its methods with the first sentence of each."""
    lines = [first] if first else []
    for name in names:
        method = getattr(owner, name)
        arguments = [parameter for parameter in inspect.signature(method).parameters if parameter != "self"]
        sentence = (inspect.getdoc(method) or "").partition("\n")[0].partition(". Raises")[0].rstrip(".")
        lines.append(f"- {name}({', '.join(arguments)}): {sentence}")
    return f"{inspect.cleandoc(doc or '')}\n\nHow to use it\n" + "\n".join(lines) + "\n"
