"""Every table of the lake, declared once. Stages meet here and nowhere else.

Money is integer hundredths ("cents") of the currency in the unit, or of the shop's currency where the unit has none.
Times are UTC. Shares are 0 to 1.
"""

from patron.schema.table_definition import Table
from patron.schema.tables import (
    category_tables,
    cohort_tables,
    contract_tables,
    decision_tables,
    fact_tables,
    fairness_tables,
    forecast_tables,
    model_tables,
    recommendation_tables,
    response_tables,
    segment_tables,
    stage_tables,
    survival_tables,
    task_tables,
)
from patron.schema.tables.category_tables import *  # noqa: F403 - every table is importable from here
from patron.schema.tables.cohort_tables import *  # noqa: F403
from patron.schema.tables.contract_tables import *  # noqa: F403
from patron.schema.tables.decision_tables import *  # noqa: F403
from patron.schema.tables.fact_tables import *  # noqa: F403
from patron.schema.tables.fairness_tables import *  # noqa: F403
from patron.schema.tables.forecast_tables import *  # noqa: F403
from patron.schema.tables.model_tables import *  # noqa: F403
from patron.schema.tables.recommendation_tables import *  # noqa: F403
from patron.schema.tables.response_tables import *  # noqa: F403
from patron.schema.tables.segment_tables import *  # noqa: F403
from patron.schema.tables.stage_tables import *  # noqa: F403
from patron.schema.tables.survival_tables import *  # noqa: F403
from patron.schema.tables.task_tables import *  # noqa: F403

TABLES: tuple[Table, ...] = tuple(
    declared
    for module in (
        fact_tables,
        forecast_tables,
        category_tables,
        response_tables,
        contract_tables,
        model_tables,
        stage_tables,
        segment_tables,
        survival_tables,
        decision_tables,
        task_tables,
        cohort_tables,
        recommendation_tables,
        fairness_tables,
    )
    for declared in vars(module).values()
    if isinstance(declared, Table)
)
"""All tables in the order of their declarations."""
BY_NAME = {table.name: table for table in TABLES}
