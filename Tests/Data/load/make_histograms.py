"""Writes histograms.hlog and histograms.json with PyPI's hdrhistogram (0.10.8): what our reader must agree with.

    python make_histograms.py"""
import json
import random

from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogWriter

random.seed(7)
merged = HdrHistogram(1, 3_600_000_000_000, 3)
with open("histograms.hlog", "w") as file:
    log = HistogramLogWriter(file)
    log.output_comment("[Logged by PyPI's hdrhistogram]")
    log.output_log_format_version()
    log.output_legend()
    for second in range(3):
        histogram = HdrHistogram(1, 3_600_000_000_000, 3)
        for _ in range(2000):
            histogram.record_value(int(random.lognormvariate(14, 1.5)) + 1)
        histogram.record_value(1_234_567_890)
        histogram.record_value(1)
        merged.add(histogram)
        log.output_interval_histogram(histogram, second or 0.001, second + 1)
with open("histograms.json", "w") as file:
    percentiles = {str(p): merged.get_value_at_percentile(p) for p in (0, 25, 50, 75, 90, 95, 99, 99.9, 100)}
    json.dump({"count": merged.get_total_count(), "mean": merged.get_mean_value(), "percentiles": percentiles}, file, indent=1)
    file.write("\n")
