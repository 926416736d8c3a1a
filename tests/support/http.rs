//! A client of the admin endpoint.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Program, TEST_TIMEOUT, connect};

impl Program {
    /// Where the endpoint listens; it says so before the server listens.
    pub fn admin(&self) -> SocketAddr {
        let line = self.lines.iter().find_map(|line| line.strip_prefix("admin on http://"));
        line.expect("started with --admin").parse().expect("an address")
    }
}

/// Status and body of an answer.
pub fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = request(address, &format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), body.to_owned())
}

/// The whole answer to a request.
pub fn request(address: SocketAddr, text: &str) -> String {
    let mut stream: TcpStream = connect(address);
    stream.write_all(text.as_bytes()).expect("the endpoint reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the answer ends with a FIN");
    answer
}

/// Waits until a path is answered with this status.
pub fn wait_for_status(address: SocketAddr, path: &str, status: u16) -> String {
    let started = Instant::now();
    loop {
        let (answered, body) = get(address, path);
        if answered == status {
            return body;
        }
        assert!(started.elapsed() < TEST_TIMEOUT, "{path} is answered with {answered}: {body}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Values of a scrape.
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    /// All that is published.
    pub fn of(address: SocketAddr) -> Self {
        let (status, text) = get(address, "/metrics");
        assert_eq!(status, 200, "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            (series.to_owned(), value.parse().expect("a number"))
        };
        Self(samples.map(sample).collect())
    }

    /// The sum over the series of a metric that have all of these labels, each as `name="value"`.
    pub fn sum(&self, metric: &str, labels: &[&str]) -> f64 {
        let is_of = |series: &str| {
            let rest = series.strip_prefix(metric);
            let is_whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
            is_whole && labels.iter().all(|label| series.contains(label))
        };
        let mut values = self.0.iter().filter(|(series, _)| is_of(series)).peekable();
        assert!(values.peek().is_some(), "{metric} {labels:?} is not published");
        values.map(|(_, value)| value).sum()
    }
}
