"""The loader that an exported model names: MLflow calls `_load_pyfunc`, and `predict` of what it returns."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from patron.estimators.learner import FORECAST, Fitted
from patron.predict.feature_matrix import ORDER_PROBABILITY
from patron.predict.learners import LEARNERS
from patron.schema.errors import NotFound
from patron.schema.frames import table_without_index
from patron.schema.json_files import read_json
from patron.schema.models.questions import CHURN
from patron.schema.numbers import Numbers, float_column
from patron.storage.models.model_registry import MANIFEST, MODEL


class ExportedModel:
    """A fitted model that forecasts from a table of features, whatever kind of frame it is."""

    def __init__(self, fitted: Fitted, churn: Fitted | None = None) -> None:
        """Keep the model and, for value, the churn model of the same run."""
        self._fitted, self._churn = fitted, churn

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Numbers:  # noqa: ARG002 - MLflow's
        """Forecast for each row, in the question's unit; columns are those of the table `features`."""
        table = table_without_index(model_input)
        for place, field in enumerate(table.schema):
            if pa.types.is_large_string(field.type):
                table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
        if self._churn and ORDER_PROBABILITY not in table.column_names:
            probability = 1 - float_column(self._churn.predict(table), FORECAST)
            table = table.append_column(ORDER_PROBABILITY, pa.array(probability))
        return float_column(self._fitted.predict(table), FORECAST)


def _load_pyfunc(path: str) -> ExportedModel:
    """Read an exported model: the folder that `MLmodel` names as data. Raises NotFound for an unknown learner."""
    folder = Path(path)
    churn = folder / CHURN.name
    return ExportedModel(_load(folder), _load(churn) if churn.exists() else None)


def _load(folder: Path) -> Fitted:
    manifest = read_json(folder / MANIFEST)
    for learner in LEARNERS.get(manifest["question"], ()):
        if learner.name == manifest["learner"]:
            return learner.fitted.load(folder / MODEL)
    todo = "Load it with the version of Patron that `requirements.txt` names."
    raise NotFound(f"no learner {manifest['learner']} of {manifest['question']}", where=str(folder), todo=todo)
