//! The generator threads: placed, started together, released and joined.

use std::io;
use std::num::NonZeroU64;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};

use rustix::thread::{CpuSet, gettid, sched_setaffinity, set_current_timer_slack};

use super::clock::Clock;
use super::config::Config;
use super::cpu::OwnThreads;
use super::orders::Orders;
use super::poller::Bell;
use super::recorder::Recorder;
use super::run::RunError;
use super::worker::{Parts, Worker};

/// The generator threads at work.
pub(super) struct Crew<'scope> {
    clock: Clock,
    orders: &'scope Orders,
    bells: Vec<Bell>,
    workers: Vec<ScopedJoinHandle<'scope, io::Result<Recorder>>>,
}

impl<'scope> Crew<'scope> {
    /// Starts the threads; when all of them are in place, the clock.
    pub(super) fn start<'run: 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        config: &Config,
        orders: &'run Orders,
        parts: Vec<Parts<'run>>,
    ) -> Result<(Self, OwnThreads), RunError> {
        let bells = parts.iter().map(|part| part.poller.bell()).collect::<io::Result<_>>()?;
        let (report_ready, ready) = mpsc::channel();
        let mut starts = Vec::new();
        let mut workers = Vec::new();
        for (thread, part) in parts.into_iter().enumerate() {
            let cpu = (!config.cpus.is_empty()).then(|| config.cpus[thread % config.cpus.len()]);
            let (start, started) = mpsc::channel();
            let report_ready = report_ready.clone();
            starts.push(start);
            let body = move || work(part, cpu, report_ready, &started);
            workers.push(
                thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(scope, body)?,
            );
        }
        drop(report_ready);
        // On an early return the start senders are dropped, which sends every thread home.
        let thread_ids = ready.into_iter().collect::<Result<Vec<i32>, RunError>>()?;
        let clock = Clock::starting_now();
        for start in starts {
            // It fails only when the thread has ended, and its error comes with the join.
            let _ = start.send(clock);
        }
        Ok((Self { clock, orders, bells, workers }, OwnThreads(thread_ids)))
    }

    /// The clock that they started by.
    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Ends the measured window at this time, earlier than was planned.
    pub(super) fn end_at(&self, end_ns: u64) {
        self.orders.end_at(end_ns);
        self.ring();
    }

    /// Tells them that the measured window is over and was looked at.
    pub(super) fn release(&self) {
        self.orders.release();
        self.ring();
    }

    /// Tells them to leave, whatever they still wait for.
    pub(super) fn abort(&self) {
        self.orders.abort();
        self.ring();
    }

    /// Wakes them to look at their orders and the clock.
    pub(super) fn ring(&self) {
        self.bells.iter().for_each(Bell::ring);
    }

    /// Whether all of them have ended.
    pub(super) fn is_finished(&self) -> bool {
        self.workers.iter().all(ScopedJoinHandle::is_finished)
    }

    /// Waits for their ends; a panic goes on here.
    pub(super) fn join(self) -> io::Result<Vec<Recorder>> {
        let resume = |panic| std::panic::resume_unwind(panic);
        self.workers.into_iter().map(|worker| worker.join().unwrap_or_else(resume)).collect()
    }
}

/// The life of a generator thread.
fn work(
    parts: Parts<'_>,
    cpu: Option<usize>,
    report_ready: Sender<Result<i32, RunError>>,
    started: &Receiver<Clock>,
) -> io::Result<Recorder> {
    let ready = take_place(cpu).map(|()| gettid().as_raw_nonzero().get());
    let called_off = || io::Error::other("the run was called off");
    report_ready.send(ready).map_err(|_| called_off())?;
    // The crew waits until every sender is gone.
    drop(report_ready);
    let clock = started.recv().map_err(|_| called_off())?;
    Worker::new(parts, clock).run()
}

fn take_place(cpu: Option<usize>) -> Result<(), RunError> {
    if let Some(cpu) = cpu {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set)
            .map_err(|error| RunError::Pin { cpu, source: error.into() })?;
    }
    // The default of 50 µs would delay every timed send by as much.
    set_current_timer_slack(NonZeroU64::new(1)).map_err(io::Error::from)?;
    Ok(())
}
