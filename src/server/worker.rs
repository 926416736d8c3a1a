//! The threads of a server: started together, ended together.

use std::net::TcpListener;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use rustix::io::Errno;

use super::{ServeError, StartError, limits};
use crate::cpus;
use crate::driver::{DriverKind, Serve, Settings, ShutdownSignal, Urgency, Worker};
use crate::lifecycle::Admission;
use crate::log;
use crate::metrics::{Counters, Gauges, Metrics, Published};
use crate::protocol::Protocol;

/// State that all workers of a server have in common.
#[derive(Clone)]
pub(super) struct Shared<P> {
    pub(super) protocol: P,
    pub(super) driver: DriverKind,
    /// True if each stays on its CPU.
    pub(super) is_pinned: bool,
    pub(super) settings: Settings,
    pub(super) admission: Arc<Admission>,
    pub(super) shutdown: Arc<ShutdownSignal>,
}

/// Running workers.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    thread_ids: Vec<i32>,
    published: Vec<Arc<Published>>,
    exits: Receiver<Exit>,
}

#[derive(Debug)]
struct Exit {
    worker: usize,
    result: Result<Counters, String>,
}

/// Report of a thread to its starter: its id once it could serve, or why it cannot.
type Ready = (usize, Result<i32, Obstacle>);

/// Why a worker cannot start.
enum Obstacle {
    Pin(Errno),
    /// Cause and fix.
    Driver(String),
}

impl Workers {
    /// Starts one worker for each CPU. They begin to serve together, when all of them can;
    /// otherwise none has touched a connection.
    pub(super) fn start<P: Protocol>(
        cpus: &[usize],
        listeners: Vec<Vec<TcpListener>>,
        shared: &Shared<P>,
    ) -> Result<Self, StartError> {
        let (exit_sender, exits) = channel();
        let mut workers = Self {
            threads: Vec::new(),
            thread_ids: vec![0; cpus.len()],
            published: cpus.iter().map(|_| Arc::default()).collect(),
            exits,
        };
        let prepared = workers.prepare(cpus, listeners, shared, &exit_sender).and_then(|waiting| {
            // Only now, since drivers open some of theirs when they are prepared.
            let own = shared.shutdown.descriptor(Urgency::Drain);
            limits::try_descriptors(own).map_err(StartError::NoDescriptor)?;
            Ok(waiting)
        });
        match prepared {
            Ok(waiting) => {
                for start in waiting {
                    start.send(()).expect("a worker that is ready waits");
                }
                Ok(workers)
            }
            Err(error) => {
                workers.join();
                Err(error)
            }
        }
    }

    /// Starts the threads and waits until each could serve. They wait for a message; if its sender
    /// goes, so do they.
    fn prepare<P: Protocol>(
        &mut self,
        cpus: &[usize],
        listeners: Vec<Vec<TcpListener>>,
        shared: &Shared<P>,
        exit: &Sender<Exit>,
    ) -> Result<Vec<Sender<()>>, StartError> {
        let (ready_sender, ready) = channel();
        let mut waiting = Vec::with_capacity(cpus.len());
        for (index, (&cpu, listeners)) in cpus.iter().zip(listeners).enumerate() {
            let (start, started) = channel();
            let (shared, ready, exit) = (shared.clone(), ready_sender.clone(), exit.clone());
            let published = Arc::clone(&self.published[index]);
            let begin = {
                let published = Arc::clone(&published);
                move || begin(cpu, listeners, shared, published)
            };
            let body = move || run(index, begin, &published, &ready, &started, &exit);
            let thread = thread::Builder::new().name(format!("worker-{index}")).spawn(body)?;
            self.threads.push(thread);
            waiting.push(start);
        }
        for _ in cpus {
            let (worker, result) = ready.recv().expect("every worker reports its start once");
            self.thread_ids[worker] = result.map_err(|obstacle| match obstacle {
                Obstacle::Pin(errno) => {
                    StartError::Pin { worker, cpu: cpus[worker], source: errno.into() }
                }
                Obstacle::Driver(reason) => {
                    StartError::Worker { worker, cpu: cpus[worker], reason }
                }
            })?;
        }
        Ok(waiting)
    }

    pub(super) fn thread_ids(&self) -> Vec<i32> {
        self.thread_ids.clone()
    }

    pub(super) fn metrics(&self) -> Metrics {
        Metrics(self.published.clone())
    }

    /// Waits for every worker. The first that fails ends the others.
    pub(super) fn wait(&mut self, shutdown: &ShutdownSignal) -> Result<Counters, ServeError> {
        let mut total = Counters::default();
        let mut failure = None;
        for _ in 0..self.threads.len() {
            let Exit { worker, result } = self.exits.recv().expect("every worker reports its end");
            match result {
                Ok(counters) => total += counters,
                Err(reason) => {
                    failure.get_or_insert((worker, reason));
                    shutdown.raise(Urgency::Stop);
                }
            }
        }
        self.join();
        match failure {
            Some((worker, reason)) => Err(ServeError { worker, reason, counters: Box::new(total) }),
            None => Ok(total),
        }
    }

    pub(super) fn join(&mut self) {
        for thread in self.threads.drain(..) {
            thread.join().expect("a worker that panics aborts the process");
        }
    }
}

fn run(
    index: usize,
    begin: impl FnOnce() -> Result<Serve, Obstacle>,
    published: &Published,
    ready: &Sender<Ready>,
    started: &Receiver<()>,
    exit: &Sender<Exit>,
) {
    let _abort = AbortOnPanic { worker: index };
    // The starter may have given up and gone; then nobody needs to be told.
    let serve = match begin() {
        Ok(serve) => serve,
        Err(obstacle) => {
            let _ = ready.send((index, Err(obstacle)));
            return;
        }
    };
    let _ = ready.send((index, Ok(rustix::thread::gettid().as_raw_nonzero().get())));
    if started.recv().is_err() {
        return;
    }
    let result = serve().map_err(|error| error.to_string());
    if let Ok(counters) = &result {
        published.store(counters, Gauges { has_ended: true, ..Gauges::default() });
    }
    let _ = exit.send(Exit { worker: index, result });
}

fn begin<P: Protocol>(
    cpu: usize,
    listeners: Vec<TcpListener>,
    shared: Shared<P>,
    published: Arc<Published>,
) -> Result<Serve, Obstacle> {
    let Shared { protocol, driver, is_pinned, settings, admission, shutdown } = shared;
    if is_pinned {
        cpus::pin(cpu).map_err(Obstacle::Pin)?;
    }
    driver
        .prepare(Worker { protocol, listeners, settings, admission, shutdown, published })
        .map_err(Obstacle::Driver)
}

/// A worker's panic is a bug of ours, and the kernel may still own its buffers: the process ends,
/// rather than serve on with a part of its connections dead.
struct AbortOnPanic {
    worker: usize,
}

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if thread::panicking() {
            tracing::error!(worker = self.worker, "worker {} panicked: aborting", self.worker);
            log::flush();
            process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, PipeReader, PipeWriter, Write};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};

    use super::*;

    /// Set in the process that is to panic.
    const VICTIM: &str = "RBTEST_PANIC";

    #[test]
    fn a_panic_aborts_the_process_and_names_the_worker() {
        if std::env::var_os(VICTIM).is_some() {
            let options = log::Options::text("ringback");
            let _log = log::start(options).expect("a thread can be had");
            let _abort = AbortOnPanic { worker: 3 };
            panic!("planted");
        }
        let output = victim().output().expect("the program starts again");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("planted"), "{text}");
        assert!(text.contains("worker 3 panicked: aborting"), "{text}");

        let (_reader, stderr) = full_pipe();
        let status = victim().stderr(stderr).status().expect("the program starts again");
        assert_eq!(status.signal(), Some(libc::SIGABRT));
    }

    /// This test in a process of its own, which panics.
    fn victim() -> Command {
        let mut command = Command::new(std::env::current_exe().expect("a test has a program"));
        command
            .args([
                "--exact",
                "server::worker::tests::a_panic_aborts_the_process_and_names_the_worker",
            ])
            .arg("--nocapture")
            .env(VICTIM, "1")
            .stdout(Stdio::null());
        command
    }

    /// A pipe that nobody reads.
    fn full_pipe() -> (PipeReader, PipeWriter) {
        let (reader, mut writer) = io::pipe().expect("a pipe can be had");
        rustix::io::ioctl_fionbio(&writer, true).expect("a pipe takes it");
        while writer.write(b"x").is_ok() {}
        rustix::io::ioctl_fionbio(&writer, false).expect("a pipe takes it");
        (reader, writer)
    }
}
