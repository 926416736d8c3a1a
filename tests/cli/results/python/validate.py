"""Validates documents against a JSON Schema with the jsonschema package of PyPI, and prints what
is wrong with each as JSON: a list of texts a document.

Keys that the schema does not know are wrong here: the schema lets readers expect more, but what is
written must be published.
"""

import json
import sys

from jsonschema import Draft202012Validator


def closed(schema):
    """The schema with every object closed against unknown keys."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    if isinstance(parts.get("properties"), dict):
        parts.setdefault("additionalProperties", False)
    return parts


with open(sys.argv[1], encoding="utf-8") as file:
    schema = json.load(file)
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(closed(schema))

problems = []
for path in sys.argv[2:]:
    with open(path, encoding="utf-8") as file:
        document = json.load(file)
    problems.append([f"{e.json_path}: {e.message}" for e in validator.iter_errors(document)])
json.dump(problems, sys.stdout)
