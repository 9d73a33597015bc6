"""Settles requests by their answers in SQL: how many succeeded, failed, and are missing, and the tokens that were used.
Writes no results.

Usage: join_duckdb.py REQUESTS OUTPUT ERRORS
"""

import sys

import duckdb

requests, output, errors = sys.argv[1:]
BODY = "STRUCT(usage STRUCT(total_tokens BIGINT))"
ANSWER = f"{{custom_id: 'VARCHAR', error: 'JSON', response: 'STRUCT(status_code BIGINT, body {BODY})'}}"
QUERY = f"""
SELECT
    count(*) FILTER (a.custom_id IS NOT NULL AND a.error IS NULL AND a.response.status_code < 300),
    count(*) FILTER (a.error IS NOT NULL OR a.response.status_code >= 300),
    count(*) FILTER (a.custom_id IS NULL),
    sum(a.response.body.usage.total_tokens)
FROM read_json($requests, format = 'newline_delimited', columns = {{custom_id: 'VARCHAR'}}) AS r
LEFT JOIN read_json([$output, $errors], format = 'newline_delimited', columns = {ANSWER}) AS a USING (custom_id)
"""
found = duckdb.execute(QUERY, {"requests": requests, "output": output, "errors": errors}).fetchone()
succeeded, failed, missing, tokens = found
print(f"{succeeded} succeeded, {failed} failed, {missing} missing with {tokens} tokens")
