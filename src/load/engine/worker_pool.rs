//! The generator threads: placed, started together, released and joined.

use std::io;
use std::num::NonZeroU64;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, ScopedJoinHandle};
use std::time::SystemTime;

use rustix::thread::{gettid, set_current_timer_slack};

use super::poller::Waker;
use super::worker::Worker;
use crate::cpus;
use crate::load::clock::{Clock, Start};
use crate::load::config::Config;
use crate::load::control::RunControl;
use crate::load::error::RunError;
use crate::load::record::cpu::OwnThreads;
use crate::load::record::recorder::Recorder;

pub(crate) struct WorkerPool<'scope> {
    start: Start,
    control: &'scope RunControl,
    wakers: Vec<Waker>,
    workers: Vec<ScopedJoinHandle<'scope, io::Result<Recorder>>>,
}

impl<'scope> WorkerPool<'scope> {
    /// Starts the threads; when all of them are in place, the clock, as soon as `begin` returns.
    pub(crate) fn start<'run: 'scope>(
        scope: &'scope thread::Scope<'scope, '_>,
        config: &Config,
        control: &'run RunControl,
        all: Vec<Worker<'run>>,
        begin: impl FnOnce() -> Result<Start, RunError>,
    ) -> Result<(Self, OwnThreads), RunError> {
        let wakers = all.iter().map(Worker::waker).collect::<io::Result<_>>()?;
        let (report_ready, ready) = mpsc::channel();
        let mut releases = Vec::new();
        let mut workers = Vec::new();
        for (thread, worker) in all.into_iter().enumerate() {
            let cpu = (!config.cpus.is_empty()).then(|| config.cpus[thread % config.cpus.len()]);
            let (release, released) = mpsc::channel();
            let report_ready = report_ready.clone();
            releases.push(release);
            let body = move || work((thread, worker), cpu, report_ready, &released);
            workers.push(
                thread::Builder::new().name(format!("load-{thread}")).spawn_scoped(scope, body)?,
            );
        }
        drop(report_ready);
        // On an early return the senders are dropped, which ends every thread.
        let mut thread_ids = ready.into_iter().collect::<Result<Vec<_>, RunError>>()?;
        thread_ids.sort_unstable();
        let thread_ids = thread_ids.into_iter().map(|(_, id)| id).collect();
        let start = begin()?;
        for release in releases {
            // It fails only when the thread has ended, and its error comes with the join.
            let _ = release.send(start.clock);
        }
        Ok((Self { start, control, wakers, workers }, OwnThreads(thread_ids)))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.start.clock
    }

    /// When the run started, by the host's clock.
    pub(crate) fn started(&self) -> SystemTime {
        self.start.time
    }

    pub(crate) fn end_at(&self, end_ns: u64) {
        self.control.end_at(end_ns);
        self.wake();
    }

    /// Lets them end: the measured window is over and was looked at.
    pub(crate) fn release(&self) {
        self.control.release();
        self.wake();
    }

    /// Ends them, whatever they still wait for.
    pub(crate) fn abort(&self) {
        self.control.abort();
        self.wake();
    }

    /// Wakes them to look at their control and the clock.
    pub(crate) fn wake(&self) {
        self.wakers.iter().for_each(Waker::wake);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.workers.iter().all(ScopedJoinHandle::is_finished)
    }

    /// Waits for their ends; a panic goes on here.
    pub(crate) fn join(self) -> io::Result<Vec<Recorder>> {
        let resume = |panic| std::panic::resume_unwind(panic);
        self.workers.into_iter().map(|worker| worker.join().unwrap_or_else(resume)).collect()
    }
}

/// Reports the number of the thread with its id once it is in its place, and makes its part of the
/// load when the clock has started.
fn work(
    (thread, worker): (usize, Worker<'_>),
    cpu: Option<usize>,
    report_ready: Sender<Result<(usize, i32), RunError>>,
    released: &Receiver<Clock>,
) -> io::Result<Recorder> {
    let ready = take_place(cpu).map(|()| (thread, gettid().as_raw_nonzero().get()));
    let called_off = || io::Error::other("the run was called off");
    report_ready.send(ready).map_err(|_| called_off())?;
    // The pool waits until every sender is gone.
    drop(report_ready);
    let clock = released.recv().map_err(|_| called_off())?;
    worker.run(clock)
}

fn take_place(cpu: Option<usize>) -> Result<(), RunError> {
    if let Some(cpu) = cpu {
        cpus::run_on(&[cpu]).map_err(|source| RunError::Pin { cpu, source })?;
    }
    // The default of 50 µs would delay every timed send by as much.
    set_current_timer_slack(NonZeroU64::new(1)).map_err(io::Error::from)?;
    Ok(())
}
