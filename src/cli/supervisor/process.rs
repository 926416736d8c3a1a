//! Facts about this process, from files that are opened once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{SystemTime, UNIX_EPOCH};

use rlimit::Resource;
use rustix::fs::fstat;
use rustix::io::fcntl_dupfd_cloexec;
use rustix::time::{ClockId, clock_gettime};

/// Files about the process, and when it started.
#[derive(Debug)]
pub(super) struct Process {
    memory: Option<File>,
    descriptors: Option<File>,
    page_size: u64,
    /// Seconds since 1970.
    pub(super) start_time: f64,
}

impl Process {
    /// Opens the files; where there are none (`/proc` is not mounted) their facts are 0.
    pub(super) fn open() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // Both look at files when they are asked first.
        let page_size = rustix::param::page_size() as u64;
        let _ = clock_gettime(ClockId::ProcessCPUTime);
        Self {
            page_size,
            memory: File::open("/proc/self/statm").ok(),
            descriptors: File::open("/proc/self/fd").ok(),
            start_time: now.as_secs_f64(),
        }
    }

    /// CPU time of all threads, in seconds.
    pub(super) fn cpu_seconds(&self) -> f64 {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    }

    /// Memory of this process that is in RAM, in bytes: the second number of `statm` (`proc(5)`).
    pub(super) fn resident_bytes(&self) -> u64 {
        let text = self.memory.as_ref().map(read).unwrap_or_default();
        let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
        pages.unwrap_or(0) * self.page_size
    }

    /// Open descriptors: the size of the directory since Linux 6.2, 0 before.
    pub(super) fn open_descriptors(&self) -> u64 {
        let stat = self.descriptors.as_ref().and_then(|directory| fstat(directory).ok());
        stat.map_or(0, |stat| stat.st_size as u64)
    }

    /// Descriptors that the process may open.
    pub(super) fn max_descriptors(&self) -> u64 {
        Resource::NOFILE.get_soft().unwrap_or(0)
    }
}

/// Opens a file of each of these threads, or none where connections would have no descriptor left.
pub(super) fn open_all<F>(threads: &[i32], open: impl Fn(i32) -> io::Result<F>) -> Vec<Option<F>> {
    let mut files: Vec<Option<F>> = threads.iter().map(|thread| open(*thread).ok()).collect();
    if !has_room() {
        files.fill_with(|| None);
    }
    files
}

/// Returns whether a connection can be accepted, and another one refused.
fn has_room() -> bool {
    const NEEDED: usize = 2;
    let spare: Result<Vec<_>, _> =
        (0..NEEDED).map(|_| fcntl_dupfd_cloexec(io::stderr(), 0)).collect();
    spare.is_ok()
}

/// Opens the file with the CPU time of a thread of this process.
pub(super) fn cpu_time_of(thread: i32) -> io::Result<File> {
    File::open(format!("/proc/self/task/{thread}/schedstat"))
}

/// CPU time in seconds: the first number of `schedstat`, in nanoseconds.
pub(super) fn seconds_run(file: &File) -> f64 {
    let text = read(file);
    let nanoseconds = text.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    nanoseconds.unwrap_or(0) as f64 / 1e9
}

/// A thread of this process, as the scheduler sees it.
#[derive(Debug)]
pub(super) struct Thread {
    stat: File,
    /// CPU time when it was last looked at, in ticks.
    ran: u64,
}

impl Thread {
    pub(super) fn open(thread: i32) -> io::Result<Self> {
        let stat = File::open(format!("/proc/self/task/{thread}/stat"))?;
        Ok(Self { stat, ran: 0 })
    }

    /// Returns whether it wants to run and has not run since the last look: whoever has its CPU does
    /// not give it away.
    pub(super) fn is_starved(&mut self) -> bool {
        let (is_runnable, ran) = runnable_and_ticks(&read(&self.stat)).unwrap_or((false, 0));
        let ran_before = std::mem::replace(&mut self.ran, ran);
        is_runnable && ran == ran_before
    }
}

/// The state and the CPU time of a thread from its `stat` (`proc_pid_stat(5)`).
fn runnable_and_ticks(stat: &str) -> Option<(bool, u64)> {
    /// Fields between the state and the times in user and kernel mode.
    const FIELDS_BETWEEN: usize = 10;
    let (_, rest) = stat.split_once(") ")?;
    let mut fields = rest.split(' ');
    let is_runnable = fields.next()? == "R";
    let mut ticks = fields.skip(FIELDS_BETWEEN).map(|field| field.parse::<u64>().ok());
    Some((is_runnable, ticks.next()?? + ticks.next()??))
}

/// The text of a file that the kernel makes anew for each read.
fn read(file: &File) -> String {
    let mut buffer = [0; 256];
    // A thread that has ended has no account any more.
    let length = file.read_at(&mut buffer, 0).unwrap_or(0);
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_starved_that_wants_to_run_and_does_not() {
        let stat = |state: char, user: u64| {
            format!(
                "7 (worker-0) {state} 1 7 7 0 -1 4194560 9 8 7 6 {user} 3 0 0 20 0 5 0 99 1 2\n"
            )
        };
        assert_eq!(runnable_and_ticks(&stat('R', 5)), Some((true, 8)));
        assert_eq!(runnable_and_ticks(&stat('S', 5)), Some((false, 8)));
        // It has ended.
        assert_eq!(runnable_and_ticks(""), None);

        // Who looks at itself runs.
        let mut own = Thread::open(rustix::thread::gettid().as_raw_nonzero().get()).expect("own");
        let started = own.ran;
        while own.ran == started {
            own.is_starved();
        }
        let mut sleeper = None;
        std::thread::scope(|scope| {
            let (tell, told) = std::sync::mpsc::channel();
            let (keep, kept) = std::sync::mpsc::channel::<()>();
            scope.spawn(move || {
                tell.send(rustix::thread::gettid().as_raw_nonzero().get()).expect("awaited");
                kept.recv().expect_err("nothing is sent");
            });
            let thread = told.recv().expect("it starts");
            let asleep = sleeper.insert(Thread::open(thread).expect("it runs"));
            while runnable_and_ticks(&read(&asleep.stat)).is_none_or(|(is_runnable, _)| is_runnable)
            {
                std::thread::yield_now();
            }
            assert!(!asleep.is_starved() && !asleep.is_starved());
            drop(keep);
        });
    }

    #[test]
    fn this_process_has_memory_descriptors_and_time() {
        let process = Process::open();
        assert!(process.resident_bytes() > 1 << 20);
        let before = process.open_descriptors();
        let _one_more = File::open("/dev/null").expect("it is there");
        // Other tests open and close some.
        assert!(before >= 3, "{before}");
        assert!(process.max_descriptors() > before);
        let own = cpu_time_of(rustix::thread::gettid().as_raw_nonzero().get()).expect("our own");
        // The kernel brings the account of a thread up to date when it is scheduled.
        while seconds_run(&own) == 0.0 {
            std::thread::yield_now();
        }
        let (seconds, all) = (seconds_run(&own), process.cpu_seconds());
        assert!(seconds <= all, "{seconds} of {all}");
        assert!(process.start_time > 1e9);
    }
}
