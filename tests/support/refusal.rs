//! Hosts that refuse io_uring, made of this one.

use std::process::Command;

/// The server.
pub const RINGBACK: &str = env!("CARGO_BIN_EXE_ringback");

/// The answers of hosts without io_uring, and what the message about each must name.
pub const ANSWERS: [(&str, &str); 3] = [
    ("EPERM", "a security module (SELinux, AppArmor)"),
    ("ENOSYS", "CONFIG_IO_URING=y"),
    ("ENOMEM", "RLIMIT_MEMLOCK"),
];

/// The system calls of io_uring, by their numbers on every architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Setup = 425,
    Enter = 426,
    Register = 427,
}

/// `ringback` to which `io_uring_setup` answers so, without any reason that it could see.
pub fn refused(answer: &str, arguments: &[&str]) -> Command {
    injected("io_uring_setup", &format!("error={answer}"), RINGBACK, arguments)
}

/// A program where `strace` makes this of every call of these. Detached, so that the child of the
/// test is the program: it would outlive a tracer that is killed.
pub fn injected(calls: &str, what: &str, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-o", "/dev/null", "-e", &format!("trace={calls}"), "-e"])
        .arg(format!("inject={calls}:{what}"))
        .arg(program)
        .args(arguments);
    command
}

/// `ringback` in a seccomp filter that answers this call and those after it so.
pub fn filtered(answer: &str, first: Call, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/refuse.py"))
        .args([answer, &(first as u32).to_string(), env!("CARGO_BIN_EXE_ringback")])
        .args(arguments);
    command
}

/// `ringback` as it is for those who may lock so many KiB of memory. Root may lock any amount, so
/// it gives up that right.
pub fn with_memlock(kib: u32, arguments: &[&str]) -> Command {
    let bytes = kib * 1024;
    let mut command = Command::new("prlimit");
    command.arg(format!("--memlock={bytes}:{bytes}"));
    if rustix::process::geteuid().is_root() {
        command.args(["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock"]);
    }
    command.arg(env!("CARGO_BIN_EXE_ringback")).args(arguments);
    command
}
