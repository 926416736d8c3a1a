//! The machine's own stalls: how late a thread wakes that wants nothing but to sleep.
//!
//! After Gil Tene's jHiccup. A thread sleeps for a millisecond, again and again, and records by how
//! much it overslept. Whatever kept it waiting (a hypervisor that took the CPU away, interrupts, a
//! scheduler with more threads than CPUs) will have kept others waiting: what a latency
//! distribution shows at that size may be the machine's, not the server's.
//!
//! There is a thread on each CPU that the server or the generator uses, or on up to four of each
//! side's, spread over them: beside them all would be calm. A thousand wake-ups a second of a few
//! microseconds each are the price.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU64;
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use hdrhistogram::Histogram;
use rustix::thread::set_current_timer_slack;

use super::latencies::Latencies;
use super::recorder::Window;
use super::seconds::IntervalSender;
use crate::cpus;
use crate::load::clock::{Clock, nanos};
use crate::load::control::RunControl;

/// How long the thread sleeps: the coarsest stall that can go unnoticed.
const INTERVAL: Duration = Duration::from_millis(1);

pub(crate) struct Init<'run> {
    pub(crate) cpu: Option<usize>,
    pub(crate) start_ns: u64,
    pub(crate) control: &'run RunControl,
    pub(crate) sender: IntervalSender,
}

/// Starts the thread. It measures until the measured window ends.
pub(crate) fn start<'scope, 'run: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    init: Init<'run>,
    clock: Clock,
) -> io::Result<ScopedJoinHandle<'scope, ()>> {
    let body = move || {
        take_place(init.cpu);
        measure(init, clock);
    };
    thread::Builder::new().name("host-stall".to_owned()).spawn_scoped(scope, body)
}

fn measure(init: Init<'_>, clock: Clock) {
    let Init { start_ns, control, mut sender, .. } = init;
    let mut latencies: Box<Latencies> = Box::default();
    let mut now_ns = clock.now_ns();
    while now_ns < control.end_ns() && !control.is_released() {
        let before_ns = now_ns;
        thread::sleep(INTERVAL);
        now_ns = clock.now_ns();
        if now_ns >= sender.next_ns() {
            sender.send_second(&mut latencies, now_ns);
        }
        let window = Window { start_ns, end_ns: control.end_ns() };
        if let Some(late_ns) = late_within(window, before_ns, now_ns) {
            record_stall(&mut latencies.hiccup, late_ns);
        }
    }
    sender.finish(latencies);
}

/// By how much a sleep from one time to the other was too long within the window; `None` where it
/// ended before it.
fn late_within(window: Window, before_ns: u64, now_ns: u64) -> Option<u64> {
    let due_ns = before_ns.saturating_add(nanos(INTERVAL)).max(window.start_ns);
    let late_ns = now_ns.min(window.end_ns).saturating_sub(due_ns);
    (now_ns >= window.start_ns).then_some(late_ns)
}

/// Records a stall and what a thread would have seen that had come at every later millisecond of
/// it: so the histogram says what share of the *time* was how bad.
fn record_stall(histogram: &mut Histogram<u64>, late_ns: u64) {
    let late_ns = late_ns.min(histogram.high());
    histogram
        .record_correct(late_ns, nanos(INTERVAL))
        .expect("the value is within the histogram's bounds");
}

/// Where a thread each is to look: on the CPUs in use, or on so many of each side's, spread over them.
pub(crate) fn sampled(generator: &[usize], server: &[usize]) -> Vec<Option<usize>> {
    /// Each costs some 5 µs in every millisecond.
    const MAX_SAMPLED: usize = 8;
    let in_use: BTreeSet<usize> = generator.iter().chain(server).copied().collect();
    if in_use.len() <= MAX_SAMPLED {
        return in_use.into_iter().map(Some).collect();
    }
    let spread = |cpus: &[usize]| {
        let step = cpus.len().div_ceil(MAX_SAMPLED / 2).max(1);
        cpus.iter().copied().step_by(step).collect::<Vec<_>>()
    };
    let sampled: BTreeSet<usize> = [generator, server].into_iter().flat_map(spread).collect();
    sampled.into_iter().map(Some).collect()
}

/// The thread may run elsewhere and with coarser timers; it tells more than none.
fn take_place(cpu: Option<usize>) {
    if let Some(cpu) = cpu {
        let _ = cpus::run_on(&[cpu]);
    }
    let _ = set_current_timer_slack(NonZeroU64::new(1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::record::latencies::histogram;
    use crate::load::record::seconds::Collector;

    #[test]
    fn both_sides_are_looked_at_however_many_cpus_one_has() {
        let cpus = |sampled: Vec<Option<usize>>| sampled.into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(cpus(sampled(&[1], &[0])), [0, 1]);
        assert_eq!(cpus(sampled(&[0, 1], &[0, 1])), [0, 1]);
        assert!(sampled(&[], &[]).is_empty());
        let others: Vec<usize> = (0..64).filter(|cpu| *cpu != 3).collect();
        let many = cpus(sampled(&others, &[3]));
        assert!(many.contains(&3) && many.contains(&0) && many.len() == 5, "{many:?}");
        let all: Vec<usize> = (0..64).collect();
        assert_eq!(cpus(sampled(&all, &all)), [0, 16, 32, 48]);
    }

    #[test]
    fn a_stall_weighs_as_long_as_it_lasts() {
        let mut histogram = histogram();
        record_stall(&mut histogram, 40_000);
        assert_eq!(histogram.len(), 1);
        record_stall(&mut histogram, 10_040_000);
        // It, and what came 1, 2, ... 9 ms later.
        assert_eq!(histogram.len(), 11);
        assert_eq!(histogram.count_between(1_000_000, u64::MAX), 10);
        record_stall(&mut histogram, u64::MAX);
        assert!(histogram.max() >= 60_000_000_000);
    }

    #[test]
    fn a_stall_across_an_end_of_the_window_counts_for_its_part_within() {
        const MS: u64 = 1_000_000;
        let of = |before_ms: u64, now_ms: u64| {
            let window = Window { start_ns: 1000 * MS, end_ns: 2000 * MS };
            late_within(window, before_ms * MS, now_ms * MS).map(|ns| ns / MS)
        };
        assert_eq!(of(1100, 1151), Some(50));
        assert_eq!(of(990, 1600), Some(600));
        assert_eq!(of(1900, 2600), Some(99));
        assert_eq!(of(500, 2600), Some(1000));
        assert_eq!(of(500, 999), None);
        assert_eq!(of(1999, 2001), Some(0));
    }

    #[test]
    fn the_thread_measures_the_window_only() {
        const WINDOW_NS: u64 = 200_000_000;
        let mut collector = Collector::new(Window { start_ns: WINDOW_NS, end_ns: 2 * WINDOW_NS });
        let control = RunControl::new(2 * WINDOW_NS);
        thread::scope(|scope| {
            let sender = collector.sender();
            let init = Init { cpu: None, start_ns: WINDOW_NS, control: &control, sender };
            start(scope, init, Clock::starting_now()).unwrap().join().unwrap();
        });
        collector.collect(&mut |_, _| {});
        let total = collector.into_total();
        assert!(total.service.is_empty());
        // It sleeps once in each millisecond of the window, and stalls count for their length.
        assert!(!total.hiccup.is_empty());
        assert!(total.hiccup.len() <= 1 + total.hiccup.max() / 1_000_000 + 200);
    }
}
