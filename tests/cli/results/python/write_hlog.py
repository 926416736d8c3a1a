"""Writes a log for each description, with the hdrhistogram package of PyPI.

A description is a file: the start of the log in milliseconds since the epoch, then for each
interval a line with its tag, start, end, digits, lowest and highest value, and its values with
their counts. A hyphen stands for nothing. The log of FILE is FILE.hlog.
"""

import sys

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter


def write(description, out):
    lines = description.read().splitlines()
    writer = HistogramLogWriter(out)
    writer.output_log_format_version()
    # Its output_start_time fails in every version.
    writer.output_base_time(int(lines[0]))
    writer.output_legend()
    for line in lines[1:]:
        tag, start, end, digits, lowest, highest, values = line.split(" ")
        histogram = HdrHistogram(int(lowest), int(highest), int(digits))
        if values != "-":
            for value in values.split(","):
                value, count = map(int, value.split(":"))
                assert histogram.record_value(value, count), line
        base = int(lines[0])
        histogram.set_start_time_stamp(int(start) - base)
        histogram.set_end_time_stamp(int(end) - base)
        if tag != "-":
            out.write(f"Tag={tag},")
        writer.output_interval_histogram(histogram)


for path in sys.argv[1:]:
    with open(path) as description, open(path + ".hlog", "w") as out:
        write(description, out)
