// Writes a log for each description, with hdr-histogram-js of npm; see ../python/write_hlog.py.
"use strict";
const fs = require("fs");
const hdr = require("hdr-histogram-js");

function write(description) {
  let log = "";
  const writer = new hdr.HistogramLogWriter((text) => (log += text));
  const [base, ...lines] = description.trim().split("\n");
  writer.outputLogFormatVersion();
  writer.outputStartTime(Number(base));
  writer.outputLegend();
  for (const line of lines) {
    const [tag, start, end, digits, lowest, , values] = line.split(" ");
    const histogram = hdr.build({
      bitBucketSize: 64,
      // It grows, as it does where nobody says how far.
      autoResize: true,
      lowestDiscernibleValue: Number(lowest),
      highestTrackableValue: 2 * Number(lowest),
      numberOfSignificantValueDigits: Number(digits),
    });
    if (values !== "-") {
      for (const value of values.split(",")) {
        const [at, count] = value.split(":").map(Number);
        histogram.recordValueWithCount(at, count);
      }
    }
    if (tag !== "-") histogram.tag = tag;
    const seconds = (ms) => (Number(ms) - Number(base)) / 1000;
    writer.outputIntervalHistogram(histogram, seconds(start), seconds(end));
  }
  return log;
}

for (const path of process.argv.slice(2)) {
  fs.writeFileSync(path + ".hlog", write(fs.readFileSync(path, "utf8")));
}
