"""What is wrong with a table or its cut: problems that make a score look better than it is, each found and named."""

from patron.tabular.audit.audited import Audited, Report
from patron.tabular.audit.drift import find_drift
from patron.tabular.audit.duplicates import find_duplicates
from patron.tabular.audit.outcome_columns import find_outcome_columns
from patron.tabular.audit.repeated_ids import find_repeated_ids
from patron.tabular.audit.resampling import find_resampling
from patron.tabular.learners import Majority

__all__ = ["Audited", "Report", "audit"]


def audit(audited: Audited) -> Report:
    """Run every check; what one of them explains is not reported again by another.

    Rows of one identifier are alike, and so are rows that were made up: then no duplicates are looked for.
    """
    reports = [find_resampling(audited), find_repeated_ids(audited)]
    if not any(report.findings for report in reports):
        reports.append(find_duplicates(audited))
    explained = frozenset[str]().union(*(report.columns for report in reports))
    reports.append(find_outcome_columns(audited.without(explained)))
    reports.append(find_drift(audited))
    return Report(
        (*_first_findings(audited), *(finding for report in reports for finding in report.findings)),
        tuple(row for report in reports for row in report.rows),
        next((report.ceiling for report in reports if report.ceiling is not None), None),
    )


def _first_findings(audited: Audited) -> list[str]:
    findings = []
    if audited.compared.unlabelled_count:
        findings.append(f"{audited.compared.unlabelled_count:,} rows have no label and were left out.")
    if audited.preferred.name == Majority.name:
        findings.append("No learner is better than the majority class: these columns do not foretell the label.")
    return findings
