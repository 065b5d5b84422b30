"""The same queries on Spark (the `spark` extra)."""

import os
import sys
from collections.abc import Mapping

import pyarrow as pa
import sqlglot
from sqlglot import exp

from patron.schema.common_sentences import INSTALL_EXTRA
from patron.schema.errors import MissingExtra
from patron.schema.sentences import Sentence
from patron.storage.engine import PORTABLE, Parameters

NO_PYSPARK = Sentence("no_pyspark", "pyspark is not installed")


class SparkEngine:
    """Runs portable queries on a Spark session in UTC."""

    def __init__(self, master: str) -> None:
        try:
            from pyspark.sql import SparkSession  # noqa: PLC0415 - an optional extra
        except ImportError as error:
            raise MissingExtra(NO_PYSPARK, where="Spark", todo=INSTALL_EXTRA(extra="spark")) from error
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        self.session = (
            SparkSession.builder.master(master)
            .appName("patron")
            .config("spark.sql.session.timeZone", "UTC")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.shuffle.partitions", "2")
            .config("spark.sql.execution.arrow.pyspark.enabled", "true")
            .config("spark.driver.bindAddress", "127.0.0.1")
            .config("spark.driver.host", "127.0.0.1")
            .getOrCreate()
        )

    def query(
        self, sql: str, tables: Mapping[str, pa.Table] | None = None, parameters: Parameters | None = None
    ) -> pa.Table:
        """Run one portable SELECT with these tables visible by name, and the values of its `$name`s."""
        for name, rows in (tables or {}).items():
            self.session.createDataFrame(rows).createOrReplaceTempView(name)
        return self.session.sql(to_spark(sql), dict(parameters or {})).toArrow()

    def close(self) -> None:
        """Stop the session."""
        self.session.stop()


def to_spark(sql: str) -> str:
    """Transpile a portable query to Spark's dialect, with Patron's own functions in Spark's words."""

    def rewrite(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Anonymous) and node.name.lower() in PORTABLE:
            template = PORTABLE[node.name.lower()][2]
            args = [arg.sql(dialect="spark") for arg in node.expressions]
            return sqlglot.parse_one(template.format(*args), read="spark")
        return node

    return sqlglot.parse_one(sql, read="duckdb").transform(rewrite).sql(dialect="spark")
