//! Histograms on their way from the generator threads to whoever watches, a second at a time.
//!
//! The life of a set of histograms:
//!
//! 1. A thread records into it, without a lock and without telling anybody.
//! 2. When the second is over, by the time of a reply or because it was woken, the thread sends
//!    it and goes on with an empty one ([`IntervalSender`]).
//! 3. The [`Collector`] adds it to the others' of that second, clears it and sends it back.
//! 4. When every thread has sent its part, the second is complete.
//!
//! Each thread has [`SETS`] sets and no more. If all of them wait for the collector, the thread
//! goes on with the one it has: a second grows long, but nothing is lost and nobody waits.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::latencies::Latencies;
use super::recorder::Window;

pub(crate) const SECOND_NS: u64 = 1_000_000_000;

/// How a run's time is divided: into seconds from the start of its window on. The last of them ends
/// with the window, so that replies that come later do not stretch it, and seconds follow again.
#[derive(Debug, Clone, Copy)]
struct Grid(Window);

impl Grid {
    fn second_at(&self, now_ns: u64) -> u64 {
        let Window { start_ns, end_ns } = self.0;
        match now_ns.checked_sub(end_ns) {
            None => now_ns.saturating_sub(start_ns) / SECOND_NS,
            Some(after_ns) => self.seconds_of_window() + after_ns / SECOND_NS,
        }
    }

    /// When a second starts, which is when the one before ends.
    fn start_ns(&self, second: u64) -> u64 {
        let (from_ns, seconds) = match second.checked_sub(self.seconds_of_window()) {
            None => (self.0.start_ns, second),
            Some(after) => (self.0.end_ns, after),
        };
        from_ns.saturating_add(seconds.saturating_mul(SECOND_NS))
    }

    fn seconds_of_window(&self) -> u64 {
        self.0.length_ns().div_ceil(SECOND_NS)
    }
}

/// One in use, one on its way, one to spare.
const SETS: usize = 3;
/// Seconds that wait for a thread that does not run; then it is not waited for.
const MAX_PENDING: usize = 16;

/// A thread's end of the channel: sends its histograms.
pub(crate) struct IntervalSender {
    grid: Grid,
    second: u64,
    /// Its end, which is looked at for every reply.
    next_ns: u64,
    full: SyncSender<Batch>,
    empty: Receiver<Box<Latencies>>,
}

/// The records of one thread from the beginning of a second to the end of the same or a later one.
struct Batch {
    second: u64,
    next_second: u64,
    latencies: Box<Latencies>,
}

impl IntervalSender {
    /// When the second is over that is being recorded.
    pub(crate) fn next_ns(&self) -> u64 {
        self.next_ns
    }

    /// The time is past `next_ns`: sends what was recorded and puts an empty set in its place.
    pub(crate) fn send_second(&mut self, latencies: &mut Box<Latencies>, now_ns: u64) {
        let Ok(empty) = self.empty.try_recv() else { return };
        let next_second = self.grid.second_at(now_ns);
        let latencies = mem::replace(latencies, empty);
        self.send(Batch { second: self.second, next_second, latencies });
        self.second = next_second;
        self.next_ns = self.grid.start_ns(next_second + 1);
    }

    pub(crate) fn finish(self, latencies: Box<Latencies>) {
        self.send(Batch { second: self.second, next_second: u64::MAX, latencies });
    }

    fn send(&self, batch: Batch) {
        // There is a place for every set, so it fails only when nobody collects any more.
        let _ = self.full.try_send(batch);
    }
}

/// The other end of all senders.
pub(crate) struct Collector {
    grid: Grid,
    receivers: Vec<IntervalReceiver>,
    /// Seconds that are not complete, none before `next`.
    pending: BTreeMap<u64, Latencies>,
    next: u64,
    total: Latencies,
    /// The content of a second without records.
    nothing: Latencies,
}

struct IntervalReceiver {
    full: Receiver<Batch>,
    empty: SyncSender<Box<Latencies>>,
    /// Everything before this second was taken.
    next_second: u64,
}

impl Collector {
    /// Collects from threads that record in this window, and what comes after it.
    pub(crate) fn new(window: Window) -> Self {
        Self {
            grid: Grid(window),
            receivers: Vec::new(),
            pending: BTreeMap::new(),
            next: 0,
            total: Latencies::default(),
            nothing: Latencies::default(),
        }
    }

    pub(crate) fn sender(&mut self) -> IntervalSender {
        let (full, full_receiver) = sync_channel(SETS);
        let (empty_sender, empty) = sync_channel(SETS);
        for _ in 1..SETS {
            empty_sender.try_send(Box::default()).expect("there is a place for each");
        }
        self.receivers.push(IntervalReceiver {
            full: full_receiver,
            empty: empty_sender,
            next_second: 0,
        });
        let next_ns = self.grid.start_ns(1);
        IntervalSender { grid: self.grid, second: 0, next_ns, full, empty }
    }

    /// Takes what was sent, and shows every second that is now complete: when it started and ended,
    /// in nanoseconds since the run did, and what it holds.
    pub(crate) fn collect(&mut self, show: &mut dyn FnMut(Range<u64>, &Latencies)) {
        for receiver in &mut self.receivers {
            receiver.take(self.next, &mut self.pending);
        }
        while self.next < self.complete() || self.pending.len() > MAX_PENDING {
            let second = self.pending.remove(&self.next);
            let latencies = second.as_ref().unwrap_or(&self.nothing);
            show(self.grid.start_ns(self.next)..self.grid.start_ns(self.next + 1), latencies);
            self.total.add(latencies);
            self.next += 1;
        }
    }

    pub(crate) fn second_at(&self, now_ns: u64) -> u64 {
        self.grid.second_at(now_ns)
    }

    pub(crate) fn into_total(self) -> Latencies {
        self.total
    }

    /// The first second that something may still come for.
    fn complete(&self) -> u64 {
        let taken = self.receivers.iter().map(|receiver| receiver.next_second).min();
        match taken {
            Some(second) if second < u64::MAX => second,
            // All have ended.
            _ => self.pending.last_key_value().map_or(self.next, |(last, _)| last + 1),
        }
    }
}

impl IntervalReceiver {
    /// Adds what was sent to the seconds that were not shown, the oldest of which is `oldest`.
    fn take(&mut self, oldest: u64, pending: &mut BTreeMap<u64, Latencies>) {
        loop {
            let mut batch = match self.full.try_recv() {
                Ok(batch) => batch,
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.next_second = u64::MAX;
                    return;
                }
            };
            // What comes too late for its second is counted in the oldest that is left.
            let second = batch.second.max(oldest);
            pending.entry(second).or_default().add(&batch.latencies);
            self.next_second = batch.next_second;
            batch.latencies.clear();
            // It fails only when the thread has ended.
            let _ = self.empty.try_send(batch.latencies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START_NS: u64 = 500;
    const WINDOW: Window = Window { start_ns: START_NS, end_ns: START_NS + 1000 * SECOND_NS };

    /// Begins and samples of the seconds that are complete.
    fn collect(collector: &mut Collector) -> Vec<(u64, u64)> {
        let mut shown = Vec::new();
        collector.collect(&mut |time_ns, latencies| {
            shown.push(((time_ns.start - START_NS) / SECOND_NS, latencies.service.len()));
        });
        shown
    }

    fn record(latencies: &mut Latencies, samples: u64) {
        (0..samples).for_each(|sample| latencies.service.saturating_record(sample));
    }

    fn at(second: u64) -> u64 {
        START_NS + second * SECOND_NS
    }

    #[test]
    fn a_second_is_complete_when_every_thread_sent() {
        let mut collector = Collector::new(WINDOW);
        let (mut one, mut other) = (collector.sender(), collector.sender());
        let (mut ones, mut others) = (Box::default(), Box::default());
        assert_eq!(one.next_ns(), at(1));
        record(&mut ones, 3);
        one.send_second(&mut ones, at(1));
        assert_eq!(one.next_ns(), at(2));
        assert_eq!(collect(&mut collector), []);
        record(&mut others, 4);
        other.send_second(&mut others, at(3));
        assert_eq!(collect(&mut collector), [(0, 7)]);
        record(&mut others, 1);
        other.finish(others);
        one.finish(ones);
        assert_eq!(collect(&mut collector), [(1, 0), (2, 0), (3, 1)]);
        assert_eq!(collect(&mut collector), []);
        assert_eq!(collector.into_total().service.len(), 8);
    }

    #[test]
    fn a_second_ends_where_the_window_does() {
        let grid = Grid(Window { start_ns: START_NS, end_ns: START_NS + 5 * SECOND_NS / 2 });
        let starts: Vec<u64> =
            (0..5).map(|second| (grid.start_ns(second) - START_NS) / 1_000_000).collect();
        assert_eq!(starts, [0, 1000, 2000, 2500, 3500]);
        for second in 0..5 {
            let start_ns = grid.start_ns(second);
            assert_eq!(grid.second_at(start_ns), second);
            assert_eq!(grid.second_at(grid.start_ns(second + 1) - 1), second);
        }
        assert_eq!(Grid(WINDOW).start_ns(1000), WINDOW.end_ns);
        assert_eq!(Grid(WINDOW).second_at(WINDOW.end_ns), 1000);
    }

    #[test]
    fn nothing_is_lost_when_nobody_collects() {
        let mut collector = Collector::new(WINDOW);
        let mut sender = collector.sender();
        let mut latencies = Box::default();
        for second in 1..100 {
            record(&mut latencies, 10);
            sender.send_second(&mut latencies, at(second));
        }
        sender.finish(latencies);
        let shown = collect(&mut collector);
        assert_eq!(shown, [(0, 10), (1, 10), (2, 970)]);
        assert_eq!(collector.into_total().service.len(), 990);
    }

    #[test]
    fn a_thread_that_does_not_run_is_not_waited_for_without_end() {
        let mut collector = Collector::new(WINDOW);
        let (mut running, stuck) = (collector.sender(), collector.sender());
        let mut latencies = Box::default();
        let mut shown = Vec::new();
        for second in 1..=40 {
            record(&mut latencies, 1);
            running.send_second(&mut latencies, at(second));
            shown.extend(collect(&mut collector));
        }
        assert_eq!(shown.len(), 40 - MAX_PENDING);
        let mut late = Box::default();
        record(&mut late, 5);
        stuck.finish(late);
        running.finish(latencies);
        shown.extend(collect(&mut collector));
        assert_eq!(shown.iter().map(|(_, samples)| samples).sum::<u64>(), 45);
        assert!(shown.windows(2).all(|pair| pair[0].0 + 1 == pair[1].0), "{shown:?}");
        assert_eq!(collector.into_total().service.len(), 45);
    }
}
