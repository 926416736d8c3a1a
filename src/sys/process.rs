//! Child processes, as far as no safe wrapper goes: what must happen between fork and exec, and
//! the CPU clock of another process.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, getppid, set_parent_process_death_signal};
use rustix::thread::{CpuSet, sched_setaffinity};

/// The child will run on these CPUs where a sandbox lets it be pinned, lead a process group of its own, and be killed when the
/// thread that starts it ends, however it ends: not even SIGKILL leaves it behind.
pub(crate) fn bind(command: &mut Command, cpus: &[usize]) {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|cpu| set.set(*cpu));
    let is_placed = !cpus.is_empty();
    let parent = getpid();
    let in_child = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(parent) {
            // The parent ended before the signal was asked for.
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        if is_placed {
            match sched_setaffinity(None, &set) {
                Ok(()) | Err(Errno::PERM | Errno::ACCESS | Errno::NOSYS) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    };
    command.process_group(0);
    // SAFETY: between fork and exec only system calls are made, on values that the closure owns;
    // nothing allocates, locks or panics.
    unsafe { command.pre_exec(in_child) };
}

/// CPU time in nanoseconds that all threads of a process have used, those that ended included.
pub(crate) fn cpu_time_ns(process: Pid) -> io::Result<u64> {
    let mut clock: libc::clockid_t = 0;
    // SAFETY: the C library writes one clock id, which `clock` is.
    let error = unsafe { libc::clock_getcpuclockid(process.as_raw_pid(), &raw mut clock) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec, which `time` is.
    if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
