// Writes a log for each description, with the original HdrHistogram; see ../python/write_hlog.py.

import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.HdrHistogram.Histogram;
import org.HdrHistogram.HistogramLogWriter;

public class WriteHlog {
    public static void main(String[] paths) throws Exception {
        for (String path : paths) {
            try (PrintStream out = new PrintStream(path + ".hlog")) {
                write(Files.readAllLines(Path.of(path)), new HistogramLogWriter(out));
            }
        }
    }

    private static void write(List<String> lines, HistogramLogWriter writer) {
        long base = Long.parseLong(lines.get(0));
        writer.outputLogFormatVersion();
        writer.outputStartTime(base);
        writer.setBaseTime(base);
        writer.outputBaseTime(base);
        writer.outputLegend();
        for (String line : lines.subList(1, lines.size())) {
            writer.outputIntervalHistogram(histogram(line.split(" ")));
        }
    }

    private static Histogram histogram(String[] columns) {
        Histogram histogram = new Histogram(
                Long.parseLong(columns[4]), Long.parseLong(columns[5]), Integer.parseInt(columns[3]));
        if (!columns[0].equals("-")) {
            histogram.setTag(columns[0]);
        }
        histogram.setStartTimeStamp(Long.parseLong(columns[1]));
        histogram.setEndTimeStamp(Long.parseLong(columns[2]));
        if (!columns[6].equals("-")) {
            for (String value : columns[6].split(",")) {
                String[] parts = value.split(":");
                histogram.recordValueWithCount(Long.parseLong(parts[0]), Long.parseLong(parts[1]));
            }
        }
        return histogram;
    }
}
