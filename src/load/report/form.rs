//! The form of a saved result, by its content.

use std::fmt;

use super::hlog;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A log of histograms, maybe without any or damaged.
    Log,
    /// JSON of any kind.
    Json,
    /// A percentile table of HdrHistogram.
    PercentileTable,
    /// A percentile table as comma-separated values.
    PercentileCsv,
    /// The output of wrk or wrk2.
    Wrk,
    /// Our report for people.
    Text,
    /// Our picture, or another.
    Picture,
    /// A file that gzip compressed.
    Gzip,
    /// Text in UTF-16.
    Utf16,
    /// Comma-separated values of another kind.
    Csv,
    /// Nothing of these.
    Unknown,
}

impl Form {
    /// The form of a file with this content, which a later line may contradict.
    pub fn of(content: &[u8]) -> Self {
        match content {
            [0x1f, 0x8b, ..] => return Self::Gzip,
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Self::Utf16,
            _ => {}
        }
        // What is not text becomes text that none of the forms begins with.
        let text = String::from_utf8_lossy(content);
        let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
        let mut lines = lines.filter(|line| !line.is_empty()).peekable();
        let is_commented = lines.peek().is_some_and(|line| line.starts_with('#'));
        match lines.find(|line| !line.starts_with('#')) {
            // Whole, or what follows its progress.
            Some(_) if text.contains("Thread Stats") && text.contains("Requests/sec:") => Self::Wrk,
            Some(line) => Self::of_line(line),
            None if is_commented => Self::Log,
            None => Self::Unknown,
        }
    }

    /// By the first line that is no comment.
    fn of_line(line: &str) -> Self {
        match line {
            _ if line.starts_with(['{', '[']) => Self::Json,
            _ if hlog::is_of_log(line) => Self::Log,
            _ if line.starts_with("\"Value\",") => Self::PercentileCsv,
            _ if line.starts_with("Value ") => Self::PercentileTable,
            _ if line.starts_with("Running ") && line.contains(" test @ ") => Self::Wrk,
            _ if line.starts_with("ringback-load") => Self::Text,
            _ if line.starts_with("<svg") || line.starts_with("<?xml") => Self::Picture,
            _ if line.matches(',').count() >= 2 => Self::Csv,
            _ => Self::Unknown,
        }
    }
}

/// With its article.
impl fmt::Display for Form {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Log => "a log of histograms (.hlog)",
            Self::Json => "a JSON document",
            Self::PercentileTable => "a percentile table (.hgrm), for the plotters of HdrHistogram",
            Self::PercentileCsv => "a percentile table in CSV, for spreadsheets",
            Self::Wrk => "the output of wrk or wrk2",
            Self::Text => "a report for people (--format text)",
            Self::Picture => "a picture",
            Self::Gzip => "compressed (gzip)",
            Self::Utf16 => "text in UTF-16, not in UTF-8",
            Self::Csv => "a table in CSV",
            Self::Unknown => "of an unknown form",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_content() {
        let cases: [(&[u8], Form); 24] = [
            (b"1.0,1.0,2.0,HISTFAAAAA\n", Form::Log),
            (b"Tag=a,1.0,1.0,2.0,HISTFAAAAA\n", Form::Log),
            (b"\xef\xbb\xbf#[StartTime: 1]\r\n\r\n1,1,1,HISTF", Form::Log),
            (b"\"StartTimestamp\",\"Interval_Length\"\n", Form::Log),
            (b"# nothing\n", Form::Log),
            (b"1.0,1.0,2.0,DHISTAAAAA\n", Form::Log),
            (b"{\"schema\": 1}", Form::Json),
            (b"\xef\xbb\xbf\n [1]", Form::Json),
            (b"\n   Value     Percentile TotalCount 1/(1-Percentile)\n", Form::PercentileTable),
            (b"#[service in milliseconds]\n Value Percentile\n", Form::PercentileTable),
            (
                b"\"Value\",\"Percentile\",\"TotalCount\",\"1/(1-Percentile)\"\n",
                Form::PercentileCsv,
            ),
            (b"Running 30s test @ http://127.0.0.1:80/index.html\n  2 threads", Form::Wrk),
            (b"  Thread Stats   Avg\n  Latency 1ms\nRequests/sec:  1\n", Form::Wrk),
            (b"\xff\xfe#\0[\0", Form::Utf16),
            (b"ringback-load: 10.0.0.1:7\n", Form::Text),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", Form::Picture),
            (b"\x1f\x8b\x08\0", Form::Gzip),
            (b"response-time,DNS+dialup,DNS,Request-write\n", Form::Csv),
            (b"a,b,c,d\n", Form::Csv),
            (b"", Form::Unknown),
            (b"not a result", Form::Unknown),
            (b"\x7fELF\x02", Form::Unknown),
            (b"\x89PNG\r\n", Form::Unknown),
            (b"Values, and more", Form::Unknown),
        ];
        for (content, form) in cases {
            assert_eq!(Form::of(content), form, "{}", String::from_utf8_lossy(content));
        }
    }
}
