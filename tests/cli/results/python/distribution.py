"""Prints what the hdrhistogram package of PyPI makes of a tag of a log, as JSON: every recorded
value with the samples up to it, and the numbers below a table of percentiles.
"""

import json
import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

path, tag = sys.argv[1:]
total = HdrHistogram(1, 60_000_000_000, 3)
reader = HistogramLogReader(path, total)
while (interval := reader.get_next_interval_histogram()) is not None:
    if interval.get_tag() == tag:
        total.add(interval)

values = [
    [step.value_iterated_to, step.total_count_to_this_value]
    for step in total.get_recorded_iterator()
]
json.dump(
    {
        "values": values,
        "count": total.get_total_count(),
        "mean": total.get_mean_value(),
        "standard_deviation": total.get_stddev(),
        "max": total.get_max_value(),
        "buckets": total.bucket_count,
        "sub_buckets": total.sub_bucket_count,
    },
    sys.stdout,
)
