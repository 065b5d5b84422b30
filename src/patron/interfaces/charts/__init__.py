"""Charts as Altair specifications, drawn as SVG on the server, each with a description and a table.

One chart: `chart` is specification, words and table; `chart_data` makes rows its data; `axes` and `time_spans` label
it; `value_marks` shows the values of the row that is pointed at; `heat_map` is one kind; `drawing_process` draws for a
server; `vega_bundle` is for browsers.
For pages: `chart_sets` says which charts a page has.
Shop: `revenue_charts`, `period_chart`, `retention`, `cohort_charts`, `experiment_charts`, `question_chart`.
Customers: `customer_charts`, `churn_charts`, `segment_charts`. Models: `evaluation_charts`; in notebooks `clv_charts`.
"""
