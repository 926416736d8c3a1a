//! Everything that a server may still ask of the kernel once it serves.
//!
//! One list for three uses: the restrictions of the native driver's rings, the seccomp filter of the
//! process, and the profile of containers, which adds what a start needs. Rings need restrictions of
//! their own since a seccomp filter does not see what they carry; the filter keeps the process from
//! making another ring.

use std::io;

use io_uring::register::Restriction;
use io_uring::{IoUring, opcode, squeue};
use seccompiler::TargetArch;
use serde_json::{Value, json};

use super::sockopt::SIOCATMARK;

/// Operations of the native driver's rings.
const OPERATIONS: [u8; 8] = [
    opcode::AcceptMulti::CODE,
    opcode::AsyncCancel::CODE,
    opcode::PollAdd::CODE,
    opcode::Recv::CODE,
    opcode::Send::CODE,
    opcode::SendMsg::CODE,
    opcode::Timeout::CODE,
    opcode::RecvMulti::CODE,
];

/// Flags of submissions; the kernel refuses all others.
const FLAGS: squeue::Flags =
    squeue::Flags::BUFFER_SELECT.union(squeue::Flags::IO_LINK).union(squeue::Flags::SKIP_SUCCESS);

/// Operations of `io_uring_register(2)`: the end of a ring cancels what is in flight.
const REGISTER_SYNC_CANCEL: u8 = 24;

/// System calls of a server that serves, drains, panics and ends.
const CALLS: [&str; 64] = [
    // Connections.
    "accept4",
    "close",
    "fcntl",
    "getpeername",
    "getsockname",
    "getsockopt",
    "ioctl",
    "pipe2",
    "recvfrom",
    "recvmsg",
    "sendmsg",
    "sendto",
    "setsockopt",
    "shutdown",
    "splice",
    // Rings and events.
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "io_uring_enter",
    "io_uring_register",
    "ppoll",
    "read",
    "write",
    "writev",
    // Facts from files that are open.
    "fstat",
    "getrlimit",
    "lseek",
    "pread64",
    "prlimit64",
    // Memory.
    "brk",
    "madvise",
    "mmap",
    "mprotect",
    "mremap",
    "munmap",
    // Time.
    "clock_getres",
    "clock_gettime",
    "clock_nanosleep",
    "gettimeofday",
    "nanosleep",
    "restart_syscall",
    // Threads, and their ends.
    "exit",
    "exit_group",
    "futex",
    "get_robust_list",
    "getpid",
    "getrandom",
    "gettid",
    "kill",
    "membarrier",
    "rseq",
    "rt_sigaction",
    "rt_sigpending",
    "rt_sigprocmask",
    "rt_sigreturn",
    "rt_sigtimedwait",
    "sched_getaffinity",
    "sched_yield",
    "set_robust_list",
    "sigaltstack",
    "tgkill",
    // The process as a whole.
    "geteuid",
    "getuid",
    "uname",
];

/// Older forms of the calls above, which only this architecture has.
#[cfg(target_arch = "x86_64")]
const OLDER_CALLS: [&str; 4] = ["epoll_wait", "poll", "time", "getpgrp"];
#[cfg(not(target_arch = "x86_64"))]
const OLDER_CALLS: [&str; 0] = [];

/// Calls that a start needs in addition, for the profile of containers.
#[cfg(test)]
const CALLS_OF_A_START: [&str; 49] = [
    "access",
    "arch_prctl",
    "bind",
    "capget",
    "capset",
    "chdir",
    "clone",
    "clone3",
    "connect",
    "dup",
    "dup2",
    "dup3",
    "epoll_create1",
    "eventfd2",
    "execve",
    "faccessat2",
    "fchdir",
    "getcwd",
    "getdents64",
    "getegid",
    "getgid",
    "getppid",
    "io_uring_setup",
    "listen",
    "mkdirat",
    "newfstatat",
    "open",
    "openat",
    "openat2",
    "prctl",
    "readlink",
    "readlinkat",
    "sched_setaffinity",
    "seccomp",
    "set_tid_address",
    "setgid",
    "setgroups",
    "setresgid",
    "setresuid",
    "setuid",
    "socket",
    "socketpair",
    "stat",
    "statfs",
    "statx",
    "sysinfo",
    "tkill",
    "unlink",
    "unlinkat",
];

/// Flags that an argument of a call may not have: memory does not become executable, and sending does
/// not connect.
const DENIED_FLAGS: [(&str, u8, i32); 4] = [
    ("mmap", 2, libc::PROT_EXEC),
    ("mprotect", 2, libc::PROT_EXEC),
    ("sendto", 3, libc::MSG_FASTOPEN),
    ("sendmsg", 2, libc::MSG_FASTOPEN),
];

/// Calls on a process, which is to be this one: the first argument is its number.
const OF_THIS_PROCESS: [&str; 3] = ["kill", "prlimit64", "tgkill"];

/// Requests of `ioctl(2)`: what waits in a socket's queues, whether an urgent byte is next, and whether
/// it blocks.
const IOCTLS: [u64; 4] = [libc::TIOCOUTQ, libc::FIONREAD, SIOCATMARK, libc::FIONBIO];

/// Why there is no seccomp filter.
#[derive(Debug, thiserror::Error)]
#[error("no seccomp filter can be had: {0}")]
pub(crate) struct SandboxError(String);

/// Restricts a ring that was made disabled to what a driver does with it, and enables it. To be
/// called by the thread that submits.
pub(super) fn restrict(uring: &IoUring) -> io::Result<()> {
    let operations = OPERATIONS.map(Restriction::sqe_op);
    let others = [
        Restriction::sqe_flags_allowed(FLAGS.bits()),
        Restriction::register_op(REGISTER_SYNC_CANCEL),
    ];
    let mut restrictions: Vec<_> = operations.into_iter().chain(others).collect();
    uring.submitter().register_restrictions(&mut restrictions)?;
    uring.submitter().register_enable_rings()
}

/// Filters the system calls of all threads from now on: what is not listed fails with EPERM.
///
/// # Errors
///
/// When the kernel has no seccomp filters, or a thread has one of its own.
pub(crate) fn filter_system_calls() -> Result<(), SandboxError> {
    let error = |error: &dyn std::fmt::Display| SandboxError(error.to_string());
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| error(&e))?;
    let text = filter().to_string();
    let mut filters =
        seccompiler::compile_from_json(text.as_bytes(), architecture).map_err(|e| error(&e))?;
    let filter = filters.remove(FILTER).expect("it is the only one");
    seccompiler::apply_filter_all_threads(&filter).map_err(|e| error(&e))
}

/// Returns whether the kernel has filters that refuse calls with an error (`seccomp(2)`,
/// SECCOMP_GET_ACTION_AVAIL).
///
/// # Errors
///
/// The kernel's, where it has none.
pub(crate) fn try_filters() -> io::Result<()> {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the kernel reads a `u32` where the pointer points, and writes nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

const FILTER: &str = "serving";

/// The filter as `seccompiler` reads it.
fn filter() -> Value {
    let rules: Vec<Value> = calls().flat_map(rules).collect();
    json!({
        FILTER: {
            "mismatch_action": { "errno": libc::EPERM },
            "match_action": "allow",
            "filter": rules,
        }
    })
}

fn calls() -> impl Iterator<Item = &'static str> {
    CALLS.into_iter().chain(OLDER_CALLS)
}

/// The rules of a call: it is allowed where one of them fits.
fn rules(call: &str) -> Vec<Value> {
    let with = |argument: Value| json!({ "syscall": call, "args": [argument] });
    let equals = |index: u8, value: u64| json!({ "index": index, "type": "dword", "op": "eq", "val": value });
    if let Some((_, index, flag)) = DENIED_FLAGS.iter().find(|(name, ..)| *name == call) {
        let op = json!({ "masked_eq": flag });
        return vec![with(json!({ "index": index, "type": "dword", "op": op, "val": 0 }))];
    }
    if OF_THIS_PROCESS.contains(&call) {
        let own = u64::from(std::process::id());
        // 0 is the process itself to one of them, and its group to another.
        let itself = (call == "prlimit64").then_some(0);
        return itself.into_iter().chain([own]).map(|process| with(equals(0, process))).collect();
    }
    if call == "ioctl" {
        return IOCTLS.map(|request| with(equals(1, request))).into();
    }
    vec![json!({ "syscall": call })]
}

/// The profile of a container, as container engines read it: a start maps the program, so that
/// memory may become executable.
#[cfg(test)]
fn container_profile() -> Value {
    let mut names: Vec<_> = calls().chain(CALLS_OF_A_START).collect();
    names.sort_unstable();
    names.dedup();
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": libc::EPERM,
        "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::net::TcpListener;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, Stdio};
    use std::ptr;

    use io_uring::types::Fd;
    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};

    use super::*;

    /// Set in the process that is closed in.
    const VICTIM: &str = "RBTEST_CLOSED_IN";
    const PAGE: usize = 4096;

    /// Result of one submission; negative ones are errors of the kernel.
    fn complete(uring: &mut IoUring, entry: &squeue::Entry) -> i32 {
        // SAFETY: what the entries of these tests point to lives until the end of the process.
        unsafe { uring.submission().push(entry) }.expect("there is room");
        uring.submit_and_wait(1).expect("the ring works");
        uring.completion().next().expect("it completed").result()
    }

    fn open_entry() -> squeue::Entry {
        opcode::OpenAt::new(Fd(libc::AT_FDCWD), c"/dev/null".as_ptr()).build()
    }

    fn is_refused<T>(result: io::Result<T>) -> bool {
        result.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    /// Tries, in a process of its own, what a peer that took it over would.
    fn try_to_escape() -> ! {
        let mut restricted = IoUring::builder();
        let mut restricted = restricted.setup_r_disabled().build(4).expect("a ring can be had");
        restrict(&restricted).expect("a disabled ring can be restricted");
        let mut unrestricted = IoUring::new(4).expect("a ring can be had");
        // SAFETY: a mapping of its own, which nothing else knows.
        let page =
            unsafe { mmap_anonymous(ptr::null_mut(), PAGE, ProtFlags::READ, MapFlags::PRIVATE) };
        let page = page.expect("memory can be had");
        let parent = rustix::process::getppid().expect("the test that started this one");
        filter_system_calls().expect("this kernel has filters");
        assert!(is_refused(File::open("/dev/null")));
        assert!(is_refused(TcpListener::bind("127.0.0.1:0")));
        assert!(is_refused(Command::new("/bin/true").status()));
        assert!(is_refused(IoUring::new(4)));
        assert!(is_refused(std::thread::Builder::new().spawn(|| ())));
        // Nobody is signalled by number 0, only asked after.
        assert!(is_refused(rustix::process::test_kill_process(parent).map_err(io::Error::from)));
        assert!(is_refused(std::fs::metadata("/etc/passwd")));
        // SAFETY: the mapping is ours, and nothing is in it.
        let made_executable = unsafe { mprotect(page, PAGE, MprotectFlags::EXEC) };
        assert!(is_refused(made_executable.map_err(io::Error::from)));
        // SAFETY: as above, and still readable afterwards.
        unsafe { mprotect(page, PAGE, MprotectFlags::READ) }.expect("memory may change otherwise");
        assert_eq!(complete(&mut restricted, &open_entry()), -libc::EACCES);
        let nop = opcode::Nop::new().build();
        assert_eq!(complete(&mut restricted, &nop), -libc::EACCES);
        let poll = opcode::PollAdd::new(Fd(1), libc::POLLOUT as u32).build();
        let unlisted_flag = poll.clone().flags(squeue::Flags::ASYNC);
        assert_eq!(complete(&mut restricted, &unlisted_flag), -libc::EACCES);
        assert!(complete(&mut restricted, &poll) > 0, "what is listed goes on");
        // The filter does not see what rings carry: this is why they have restrictions.
        assert!(complete(&mut unrestricted, &open_entry()) >= 0);
        eprintln!("nothing escaped");
        std::panic::set_hook(Box::new(|panic| {
            eprintln!("{panic}");
            std::process::abort();
        }));
        panic!("planted");
    }

    #[test]
    fn a_process_that_is_closed_in_does_nothing_but_serve_and_panics_aloud() {
        if std::env::var_os(VICTIM).is_some() {
            try_to_escape();
        }
        let name = "sys::sandbox::tests::a_process_that_is_closed_in_does_nothing_but_serve_and_panics_aloud";
        let output = Command::new(std::env::current_exe().expect("a test has a program"))
            .args(["--exact", name, "--nocapture"])
            .env(VICTIM, "1")
            .stdout(Stdio::null())
            .output()
            .expect("the program starts again");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains("nothing escaped") && text.contains("planted"), "{text}");
        assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{text}");
    }

    #[test]
    fn every_call_is_listed_once_and_known_to_the_architecture() {
        let mut names: Vec<_> = calls().collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a call is listed twice");
        let twice: Vec<_> = CALLS_OF_A_START.iter().filter(|call| names.contains(call)).collect();
        assert!(twice.is_empty(), "{twice:?} are in both lists");
    }

    #[test]
    fn the_container_profile_is_as_published() {
        const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/deploy/seccomp.json");
        let profile =
            serde_json::to_string_pretty(&container_profile()).expect("it is JSON") + "\n";
        if std::env::var_os("RBTEST_BLESS").is_some() {
            std::fs::write(PATH, &profile).expect("there is room");
        }
        let published = std::fs::read_to_string(PATH).expect("it is part of the repository");
        assert!(published == profile, "RBTEST_BLESS=1 writes {PATH} anew");
    }
}
