//! A worker's counts for other threads: written by one, read by any, never waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread;

use super::Counters;

/// Counts and state of a worker at the end of one of its turns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Totals since the worker started.
    pub counters: Counters,
    /// Bytes in memory of its own, waiting for their peer or for the rest of their frame.
    pub spilled_bytes: u64,
    /// Receive buffers that hold nothing; 0 where the driver has no pool of them.
    pub buffers_free: u64,
    /// True once the worker has ended: it shows no more signs of life.
    pub has_ended: bool,
    /// Signs of life, counted within turns as well: of a moment of its own.
    pub beats: u64,
}

impl Snapshot {
    /// Connections that were accepted and are not closed.
    pub fn active(&self) -> u64 {
        self.counters.accepted - self.counters.closed()
    }
}

/// Counts of a server's workers. Reading them costs the workers nothing.
#[derive(Debug, Clone)]
pub struct Metrics(pub(crate) Vec<Arc<Published>>);

impl Metrics {
    /// A snapshot of each worker, in their order.
    pub fn snapshots(&self) -> Vec<Snapshot> {
        self.0.iter().map(|published| published.load()).collect()
    }
}

/// State of a worker that can fall as well as rise.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Gauges {
    pub(crate) spilled_bytes: usize,
    pub(crate) buffers_free: usize,
    pub(crate) has_ended: bool,
}

/// The last snapshot of one worker.
///
/// A sequence lock: the number is odd while the words change, so a reader that saw it even and
/// unchanged read words of one moment. On cache lines of its own, so that nobody else's writes slow
/// the worker (two lines, since processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Published {
    beats: AtomicU64,
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The counters, then the gauges.
const WORDS: usize = Counters::WORDS + 3;

impl Default for Published {
    fn default() -> Self {
        Self {
            beats: AtomicU64::new(0),
            sequence: AtomicU64::new(0),
            words: [const { AtomicU64::new(0) }; WORDS],
        }
    }
}

impl Published {
    /// A sign of life, to be given by the thread that stores.
    pub(crate) fn beat(&self) {
        self.beats.store(self.beats.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// To be called by one thread only.
    pub(crate) fn store(&self, counters: &Counters, gauges: Gauges) {
        let sequence = self.sequence.load(Ordering::Relaxed);
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        let Gauges { spilled_bytes, buffers_free, has_ended } = gauges;
        let gauges = [spilled_bytes as u64, buffers_free as u64, u64::from(has_ended)];
        let values = counters.words().into_iter().chain(gauges);
        for (word, value) in self.words.iter().zip(values) {
            word.store(value, Ordering::Relaxed);
        }
        self.sequence.store(sequence + 2, Ordering::Release);
    }

    /// The last snapshot that was stored.
    pub(crate) fn load(&self) -> Snapshot {
        loop {
            let before = self.sequence.load(Ordering::Acquire);
            let words: [u64; WORDS] =
                std::array::from_fn(|index| self.words[index].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.sequence.load(Ordering::Relaxed) == before {
                let [counters @ .., spilled_bytes, buffers_free, has_ended] = words;
                let counters = Counters::of_words(&counters);
                let (has_ended, beats) = (has_ended == 1, self.beats.load(Ordering::Relaxed));
                return Snapshot { counters, spilled_bytes, buffers_free, has_ended, beats };
            }
            // The writer may have lost its CPU in the middle.
            thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn a_snapshot_is_of_one_moment() {
        let (published, is_over) = (Published::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut counters = Counters::default();
                for number in 0..200_000 {
                    counters.accepted = number;
                    counters.turns = number;
                    let gauges =
                        Gauges { spilled_bytes: number as usize, buffers_free: 7, has_ended: true };
                    published.store(&counters, gauges);
                }
                is_over.store(true, Ordering::Release);
            });
            let mut last = 0;
            while !is_over.load(Ordering::Acquire) {
                let Snapshot { counters, spilled_bytes, .. } = published.load();
                assert_eq!((counters.turns, spilled_bytes), (counters.accepted, counters.accepted));
                assert!(counters.accepted >= last, "a counter fell");
                last = counters.accepted;
            }
        });
        assert_eq!(published.load().counters.accepted, 199_999);
        assert_eq!((published.load().buffers_free, published.load().has_ended), (7, true));
    }
}
