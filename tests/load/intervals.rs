//! A run's reports second by second add up to its summary.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, SystemTime};

use hdrhistogram::Histogram;
use ringback::load::{Config, Interval, Load, Progress, Report, Tag, Watch, run_watched};

use crate::support::{echo, serve, short};

/// Keeps everything that it is told.
#[derive(Default)]
struct Witness {
    intervals: Vec<(Tag, SystemTime, Duration, Histogram<u64>)>,
    progress: Vec<Progress>,
}

impl Watch for Witness {
    fn progress(&mut self, progress: Progress) {
        self.progress.push(progress);
    }

    fn interval(&mut self, interval: &Interval<'_>) {
        let Interval { tag, start, duration, latencies } = *interval;
        self.intervals.push((tag, start, duration, latencies.clone()));
    }
}

impl Witness {
    /// The intervals of each tag, added up.
    fn sums(&self) -> BTreeMap<Tag, Histogram<u64>> {
        let mut sums = BTreeMap::new();
        for (tag, _, _, latencies) in &self.intervals {
            let sum = sums.entry(*tag).or_insert_with(|| Histogram::new_from(latencies));
            sum.add(latencies).unwrap();
        }
        sums
    }

    fn samples(&self, of: Tag) -> Vec<u64> {
        let of_tag = self.intervals.iter().filter(|(tag, ..)| *tag == of);
        of_tag.map(|(.., latencies)| latencies.len()).collect()
    }
}

fn watch(config: &Config) -> (Report, Witness) {
    let mut witness = Witness::default();
    let report = run_watched(config, &mut witness).unwrap();
    for pair in witness.intervals.windows(2) {
        let ((one, begin, length, _), (other, next, ..)) = (&pair[0], &pair[1]);
        assert!(begin == next && one < other || *begin + *length == *next, "{begin:?} {next:?}");
    }
    (report, witness)
}

#[test]
fn intervals_add_up_to_the_report() {
    let address = serve(|_, socket| echo(socket));
    for load in [Load::Closed, Load::at_rate(2000)] {
        let duration = Duration::from_millis(1600);
        let (report, witness) = watch(&short(address).with(|config| {
            config.duration = duration;
            config.threads = 2;
            config.load = load;
            config.depth = 4;
        }));
        let sums = witness.sums();
        assert_eq!(sums[&Tag::Service], report.latency.service);
        assert_eq!(sums[&Tag::Hiccup], report.latency.hiccup);
        if load == Load::Closed {
            assert_eq!(sums.len(), 2);
        } else {
            assert_eq!(sums[&Tag::Response], report.latency.response);
            assert_eq!(sums[&Tag::SendLag], report.latency.send_lag);
        }
        let samples = witness.samples(Tag::Service);
        assert!(samples.len() >= 2 && samples[0] > 0, "{samples:?}");
        assert!(witness.progress.iter().any(|progress| progress.p99_ns.is_some()));
    }
}

#[test]
fn a_second_without_replies_is_told_as_it_is() {
    let address = serve(|_, mut socket| {
        let mut message = [0; 64];
        socket.read_exact(&mut message).unwrap();
        thread::sleep(Duration::from_millis(2500));
        socket.write_all(&message).unwrap();
        echo(socket);
    });
    let duration = Duration::from_secs(2);
    let config = short(address).with(|config| {
        config.duration = duration;
        config.warmup = Duration::ZERO;
        config.connections = 1;
    });
    let (report, witness) = watch(&config);
    let samples = witness.samples(Tag::Service);
    assert_eq!(samples[..2], [0, 0], "the reply does not come before the third second");
    assert_eq!(witness.sums()[&Tag::Service], report.latency.service);
}
