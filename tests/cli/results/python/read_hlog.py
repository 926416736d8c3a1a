"""Prints what the hdrhistogram package of PyPI reads in a log: for each tag the samples, the
extremes and the values at the quantiles that a report has, as JSON.

The value at a quantile is that of the sample whose rank is the quantile of the count, rounded up.
The package rounds to the nearest rank, so it is asked for the share of that rank itself.
"""

import json
import math
import sys
from fractions import Fraction

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader

QUANTILES = {"p50": 5000, "p90": 9000, "p99": 9900, "p99_9": 9990, "p99_99": 9999}


def empty():
    return HdrHistogram(1, 60_000_000_000, 3)


def read(path):
    reader = HistogramLogReader(path, empty())
    sums, seconds = {}, {}
    while (interval := reader.get_next_interval_histogram()) is not None:
        tag = interval.get_tag()
        total = sums.setdefault(tag, empty())
        # The package takes 0 for the least value of an interval without any.
        if interval.get_total_count():
            total.add(interval)
        seconds.setdefault(tag, []).append(interval.get_total_count())
    return reader, sums, seconds


def describe(histogram, seconds):
    count = histogram.get_total_count()
    found = {
        "count": count,
        "min": histogram.get_min_value(),
        "max": histogram.get_max_value(),
        "seconds": seconds,
    }
    for name, parts in QUANTILES.items():
        rank = math.ceil(Fraction(parts, 10_000) * count)
        found[name] = histogram.get_value_at_percentile(100 * rank / count) if count else None
    return found


def main():
    reader, sums, seconds = read(sys.argv[1])
    json.dump(
        {
            "start": reader.start_time_sec,
            "base": reader.base_time_sec,
            "tags": {tag: describe(sums[tag], seconds[tag]) for tag in sums},
        },
        sys.stdout,
    )


main()
