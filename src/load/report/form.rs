//! The form of a saved result, by its content.

use super::hlog;

/// The kind of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A log of histograms, maybe without any or damaged.
    Log,
    /// JSON of any kind.
    Json,
    /// Another kind, with its article.
    Other(&'static str),
    /// Nothing of these.
    Unknown,
}

impl Form {
    /// The form of a file with this content, which a later line may contradict.
    pub fn of(content: &[u8]) -> Self {
        match content {
            [0x1f, 0x8b, ..] => return Self::Other("compressed (gzip)"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return Self::Other("text in UTF-16, not in UTF-8");
            }
            _ => {}
        }
        // What is not text becomes text that none of the forms begins with.
        let text = String::from_utf8_lossy(content);
        let lines = text.lines().map(|line| line.trim_start_matches('\u{feff}').trim());
        let mut lines = lines.filter(|line| !line.is_empty()).peekable();
        let is_commented = lines.peek().is_some_and(|line| line.starts_with('#'));
        match lines.find(|line| !line.starts_with('#')) {
            // Whole, or what follows its progress.
            Some(_) if text.contains("Thread Stats") && text.contains("Requests/sec:") => WRK,
            Some(line) => of_line(line),
            None if is_commented => Self::Log,
            None => Self::Unknown,
        }
    }
}

const WRK: Form = Form::Other("the output of wrk or wrk2");

/// By the first line that is no comment.
fn of_line(line: &str) -> Form {
    match line {
        _ if line.starts_with(['{', '[']) => Form::Json,
        _ if hlog::is_of_log(line) => Form::Log,
        _ if line.starts_with("\"Value\",") => {
            Form::Other("a percentile table in CSV, for spreadsheets")
        }
        _ if line.starts_with("Value ") => {
            Form::Other("a percentile table (.hgrm), for the plotters of HdrHistogram")
        }
        _ if line.starts_with("Running ") && line.contains(" test @ ") => WRK,
        _ if line.starts_with("ringback-load") => {
            Form::Other("a report for people (--format text)")
        }
        _ if line.starts_with("<svg") || line.starts_with("<?xml") => Form::Other("a picture"),
        _ if line.matches(',').count() >= 2 => Form::Other("a table in CSV"),
        _ => Form::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_content() {
        let cases: [(&[u8], &str); 27] = [
            (b"1.0,1.0,2.0,HISTFAAAAA\n", "Log"),
            (b"Tag=a,1.0,1.0,2.0,HISTFAAAAA\n", "Log"),
            (b"\xef\xbb\xbf#[StartTime: 1]\r\n\r\n1,1,1,HISTF", "Log"),
            (b"\"StartTimestamp\",\"Interval_Length\"\n", "Log"),
            (b"# nothing\n", "Log"),
            (b"1.0,1.0,2.0,DHISTAAAAA\n", "Log"),
            (b"{\"schema\": 1}", "Json"),
            (b"\xef\xbb\xbf\n [1]", "Json"),
            (b"\n   Value     Percentile TotalCount 1/(1-Percentile)\n", ".hgrm"),
            (b"#[service in milliseconds]\n Value Percentile\n", ".hgrm"),
            (
                b"\"Value\",\"Percentile\",\"TotalCount\",\"1/(1-Percentile)\"\n",
                "table in CSV, for",
            ),
            (b"Running 30s test @ http://127.0.0.1:80/index.html\n  2 threads", "wrk"),
            (b"  Thread Stats   Avg\n  Latency 1ms\nRequests/sec:  1\n", "wrk"),
            (b"\xff\xfe#\0[\0", "UTF-16"),
            (b"ringback-load: 10.0.0.1:7\n", "--format text"),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", "a picture"),
            (b"\x1f\x8b\x08\0", "gzip"),
            (b"response-time,DNS+dialup,DNS,Request-write\n", "a table in CSV\""),
            (b"a,b,c,d\n", "a table in CSV\""),
            (b"1,2,3,4\n", "a table in CSV\""),
            (b"1700000000000000000,200,1000000,0,1,,,,0\n", "a table in CSV\""),
            (b"1.0,1.0,2.0,HxST\n", "Log"),
            (b"", "Unknown"),
            (b"not a result", "Unknown"),
            (b"\x7fELF\x02", "Unknown"),
            (b"\x89PNG\r\n", "Unknown"),
            (b"Values, and more", "Unknown"),
        ];
        for (content, form) in cases {
            let found = format!("{:?}", Form::of(content));
            assert!(found.contains(form), "{found} of {}", String::from_utf8_lossy(content));
        }
    }
}
