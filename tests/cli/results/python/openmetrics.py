"""Reads an exposition with the strict parser of prometheus_client; prints names, types, samples."""
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families

with open(sys.argv[1], encoding="utf-8") as scrape:
    families = list(text_string_to_metric_families(scrape.read()))
for family in families:
    print(family.name, family.type, len(family.samples))
