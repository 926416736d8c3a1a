//! Why the kernel refuses io_uring or a resource to this process, and what to do about it.
//!
//! The error alone does not show which: a sysctl, a seccomp filter and a security module all answer
//! EPERM. So the process detects what it can of its host's context; [`Refusal::explain`] is a
//! function of that.

use std::fmt;
use std::fs;
use std::io;
use std::thread;

use rlimit::{INFINITY, Resource};
use rustix::io::Errno;

use super::kernel::Release;

/// A cause and its fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) cause: String,
    pub(crate) fix: String,
}

/// Facts about the host that bear on whether a process may have a ring.
#[derive(Debug, Clone)]
pub(crate) struct HostContext {
    release: Release,
    /// `kernel.io_uring_disabled`; `None` where there is no such switch (before 6.6) or it cannot
    /// be read.
    disabled: Option<u32>,
    /// True if the process is one of those to whom `kernel.io_uring_disabled=1` does not apply.
    is_privileged: bool,
    /// True if a seccomp filter is in force.
    is_filtered: bool,
    /// RLIMIT_MEMLOCK in bytes; `None` is no limit, or none that can be read.
    memlock: Option<u64>,
    /// A limit on the memory of the process that leaves it little.
    memory: Option<MemoryLimit>,
}

/// A limit on the memory of one process, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
struct MemoryLimit {
    name: &'static str,
    fix: &'static str,
    limit_bytes: u64,
    used_bytes: u64,
}

/// Calls that every seccomp profile must let through.
const CALLS: &str = "io_uring_setup, io_uring_enter and io_uring_register";

impl Refusal {
    /// Explains an error of `io_uring_setup` or `io_uring_register` to a process in this
    /// context.
    pub(crate) fn explain(errno: Errno, here: &HostContext) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Self::forbidden(here),
            Errno::NOSYS => Self::unknown_call(here),
            Errno::MFILE | Errno::NFILE => Self::no_descriptor(),
            Errno::NOMEM => here
                .memory
                .as_ref()
                .map_or_else(|| Self::no_locked_memory(here.memlock), Self::no_memory_within),
            Errno::INVAL if !here.release.is_at_least(6, 0) => Self::too_old(&here.release),
            _ => Self::new(
                format!("{} does not do what Linux 6.0 does", here.release),
                "update the kernel, or serve without io_uring: --driver epoll",
            ),
        }
    }

    /// Explains an error of a call that is not of io_uring, where there is more to say than the error
    /// itself does.
    fn of_resources(errno: Errno, here: &HostContext) -> Option<Self> {
        let within_limits =
            |otherwise: Self| here.memory.as_ref().map_or(otherwise, Self::no_memory_within);
        match errno {
            Errno::MFILE | Errno::NFILE => Some(Self::no_descriptor()),
            Errno::NOMEM | Errno::NOBUFS => Some(within_limits(Self::new(
                "no memory is left",
                "give the host or the container more memory",
            ))),
            // Of a thread: the C library answers so where there is no memory for its stack, too.
            Errno::AGAIN => Some(within_limits(Self::new(
                "no more threads are allowed",
                "raise the limit: ulimit -u unlimited (in a container also pids.max)",
            ))),
            _ => None,
        }
    }

    /// The kernel is older than what is needed.
    pub(crate) fn too_old(release: &Release) -> Self {
        Self::new(format!("{release} is too old for it"), "boot Linux 6.0 or newer")
    }

    /// Names the thing in particular that was refused.
    pub(crate) fn about(self, what: impl fmt::Display) -> Self {
        Self { cause: format!("{what}: {}", self.cause), fix: self.fix }
    }

    fn new(cause: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { cause: cause.into(), fix: fix.into() }
    }

    fn forbidden(here: &HostContext) -> Self {
        match here.disabled {
            Some(1) if !(here.is_privileged && here.is_filtered) => Self::new(
                "the sysctl kernel.io_uring_disabled=1 keeps it from processes without CAP_SYS_ADMIN \
                 outside the group kernel.io_uring_group",
                "sysctl -w kernel.io_uring_disabled=0",
            ),
            Some(disabled) if disabled > 1 => Self::new(
                format!("the sysctl kernel.io_uring_disabled={disabled} keeps it from everybody"),
                "sysctl -w kernel.io_uring_disabled=0",
            ),
            _ if here.is_filtered => Self::filtered(),
            _ => Self::new(
                "neither the sysctl kernel.io_uring_disabled nor a seccomp filter forbids it, so a \
                 security module (SELinux, AppArmor) or a sandbox does",
                "find the denial with journalctl -k -g denied, and allow io_uring there",
            ),
        }
    }

    fn unknown_call(here: &HostContext) -> Self {
        if !here.release.is_at_least(5, 1) {
            Self::too_old(&here.release)
        } else if here.is_filtered {
            Self::filtered()
        } else {
            Self::new(
                format!("{} was built without io_uring, or a sandbox hides it", here.release),
                "boot Linux 6.0 or newer with CONFIG_IO_URING=y",
            )
        }
    }

    fn filtered() -> Self {
        Self::new(
            "the seccomp filter of the container or service forbids it",
            format!(
                "allow {CALLS} in its profile (docker run --security-opt seccomp=PROFILE.json, or \
                 seccomp=unconfined; in a systemd unit add them to SystemCallFilter=)"
            ),
        )
    }

    fn no_descriptor() -> Self {
        Self::new("no descriptor is left", "raise the limit: ulimit -n 65536")
    }

    fn no_memory_within(limit: &MemoryLimit) -> Self {
        let MemoryLimit { name, fix, limit_bytes, used_bytes } = limit;
        Self::new(
            format!(
                "memory is refused; {name} is {} KiB, of which this process uses {} KiB",
                limit_bytes >> 10,
                used_bytes >> 10
            ),
            *fix,
        )
    }

    fn no_locked_memory(memlock: Option<u64>) -> Self {
        let Some(memlock) = memlock else {
            return Self::new(
                "the kernel has no memory left for it, RLIMIT_MEMLOCK is unlimited",
                "give the host or the container more memory",
            );
        };
        Self::new(
            format!(
                "memory for it is refused; RLIMIT_MEMLOCK is {} KiB for the rings of all processes \
                 of this user",
                memlock >> 10
            ),
            "raise it: ulimit -l unlimited (docker run --ulimit memlock=-1, in a systemd unit \
             LimitMEMLOCK=infinity); if it is not that, give the container more memory",
        )
    }
}

/// An error of a call that is not of io_uring, with cause and fix where a resource ran out.
pub(crate) fn explain_resources(error: &io::Error) -> String {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    match Refusal::of_resources(errno, &HostContext::detect()) {
        Some(refusal) => format!("{error}: {refusal}"),
        None => error.to_string(),
    }
}

/// Explains the error of a call of io_uring.
pub(crate) fn explain_ring(error: &io::Error) -> String {
    let errno = Errno::from_io_error(error).unwrap_or(Errno::IO);
    format!("{error}: {}", Refusal::explain(errno, &HostContext::detect()))
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; to fix it: {}", self.cause, self.fix)
    }
}

impl HostContext {
    /// Reads the host's files. A fact that cannot be read is taken for harmless.
    pub(crate) fn detect() -> Self {
        let number = |name| {
            let text = fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?;
            text.trim().parse::<i64>().ok()
        };
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let status = Status(&status);
        Self {
            release: Release::running(),
            disabled: number("io_uring_disabled").and_then(|value| u32::try_from(value).ok()),
            is_privileged: status.has_sys_admin()
                || number("io_uring_group").is_some_and(|group| status.is_member_of(group)),
            is_filtered: status.is_filtered(),
            memlock: limit(Resource::MEMLOCK),
            memory: MemoryLimit::detect(&status),
        }
    }
}

/// The soft limit; `None` where there is none, or none that can be read.
fn limit(resource: Resource) -> Option<u64> {
    let (soft, _) = resource.get().ok()?;
    (soft != INFINITY).then_some(soft)
}

impl MemoryLimit {
    /// Address space that a worker takes at most: 64 MiB for the heap of its thread
    /// (`HEAP_MAX_SIZE` in glibc's malloc), and less for its ring, buffers and stack.
    const WORKER_BYTES: u64 = 128 << 20;

    /// The limit that may have been met by a server with a worker for each CPU.
    fn detect(status: &Status<'_>) -> Option<Self> {
        let workers = thread::available_parallelism().map_or(1, usize::from) as u64;
        let limits = [
            (
                "RLIMIT_DATA",
                Resource::DATA,
                "VmData",
                "raise it: ulimit -d unlimited (in a systemd unit LimitDATA=infinity)",
            ),
            (
                "RLIMIT_AS",
                Resource::AS,
                "VmSize",
                "raise it: ulimit -v unlimited (in a systemd unit LimitAS=infinity)",
            ),
        ];
        limits.into_iter().find_map(|(name, resource, usage, fix)| {
            let limit_bytes = limit(resource)?;
            let used_bytes = status.bytes(usage);
            let left_bytes = limit_bytes.saturating_sub(used_bytes);
            (left_bytes < workers * Self::WORKER_BYTES).then_some(Self {
                name,
                fix,
                limit_bytes,
                used_bytes,
            })
        })
    }
}

/// `/proc/self/status` (`proc_pid_status(5)`).
struct Status<'a>(&'a str);

impl Status<'_> {
    fn is_filtered(&self) -> bool {
        const FILTER: &str = "2";
        self.field("Seccomp") == FILTER
    }

    fn has_sys_admin(&self) -> bool {
        const CAP_SYS_ADMIN: u32 = 21;
        u64::from_str_radix(self.field("CapEff"), 16)
            .is_ok_and(|capabilities| capabilities >> CAP_SYS_ADMIN & 1 == 1)
    }

    /// As the kernel looks at it: by the group for files, the last of four, and the others.
    fn is_member_of(&self, group: i64) -> bool {
        let primary = self.field("Gid").split_whitespace().nth(3);
        let others = self.field("Groups").split_whitespace();
        primary.into_iter().chain(others).any(|member| member.parse() == Ok(group))
    }

    /// A size, which is in KiB there; 0 where it is not reported.
    fn bytes(&self, name: &str) -> u64 {
        let kib = self.field(name).split_whitespace().next();
        kib.and_then(|kib| kib.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    }

    fn field(&self, name: &str) -> &str {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map_or("", str::trim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn somewhere() -> HostContext {
        HostContext {
            release: Release::parse("6.8.0"),
            disabled: Some(0),
            is_privileged: false,
            is_filtered: false,
            memlock: Some(64 << 10),
            memory: None,
        }
    }

    fn explain(errno: Errno, here: &HostContext) -> String {
        Refusal::explain(errno, here).to_string()
    }

    #[test]
    fn a_permission_is_missing_by_sysctl_filter_or_module() {
        let eperm = |here| explain(Errno::PERM, &here);
        let everybody = HostContext { disabled: Some(2), is_filtered: true, ..somewhere() };
        assert!(eperm(everybody).contains("kernel.io_uring_disabled=2 keeps it from everybody"));
        let unprivileged = HostContext { disabled: Some(1), is_filtered: true, ..somewhere() };
        assert!(eperm(unprivileged.clone()).contains("kernel.io_uring_disabled=1 keeps it from"));
        let member = HostContext { is_privileged: true, ..unprivileged };
        assert!(eperm(member).starts_with("the seccomp filter of the container"));
        let filtered = HostContext { is_filtered: true, ..somewhere() };
        assert!(eperm(filtered).starts_with("the seccomp filter of the container"));
        let old = HostContext { disabled: None, is_filtered: true, ..somewhere() };
        assert!(eperm(old).starts_with("the seccomp filter of the container"));
        assert!(eperm(somewhere()).contains("a security module"));
    }

    #[test]
    fn a_call_is_unknown_to_an_old_kernel_a_filter_or_a_build() {
        let enosys = |here| explain(Errno::NOSYS, &here);
        let old = HostContext { release: Release::parse("4.19.0"), ..somewhere() };
        assert!(enosys(old).starts_with("Linux 4.19.0 is too old"));
        let filtered = HostContext { is_filtered: true, ..somewhere() };
        assert!(enosys(filtered).starts_with("the seccomp filter"));
        assert!(enosys(somewhere()).contains("CONFIG_IO_URING"));
    }

    #[test]
    fn memory_names_the_limit_that_holds() {
        assert!(explain(Errno::NOMEM, &somewhere()).contains("RLIMIT_MEMLOCK is 64 KiB"));
        let unlimited = HostContext { memlock: None, ..somewhere() };
        assert!(explain(Errno::NOMEM, &unlimited).contains("give the host or the container more"));
    }

    #[test]
    fn a_limit_on_the_memory_of_the_process_comes_before_that_on_locked_memory() {
        let limit = MemoryLimit {
            name: "RLIMIT_AS",
            fix: "raise it: ulimit -v unlimited",
            limit_bytes: 100 << 20,
            used_bytes: 90 << 20,
        };
        let here = HostContext { memory: Some(limit), ..somewhere() };
        let expected = "memory is refused; RLIMIT_AS is 102400 KiB, of which this process uses \
                        92160 KiB; to fix it: raise it: ulimit -v unlimited";
        assert_eq!(explain(Errno::NOMEM, &here), expected);
        let without_ring = Refusal::of_resources(Errno::NOMEM, &here).expect("there is more");
        assert_eq!(without_ring.to_string(), expected);
        let elsewhere = Refusal::of_resources(Errno::NOMEM, &somewhere()).expect("there is more");
        assert!(!elsewhere.to_string().contains("MEMLOCK"), "{elsewhere}");
        let thread = Refusal::of_resources(Errno::AGAIN, &here).expect("there is more");
        assert_eq!(thread.to_string(), expected);
        let thread = Refusal::of_resources(Errno::AGAIN, &somewhere()).expect("there is more");
        assert!(thread.to_string().contains("ulimit -u"), "{thread}");
        assert_eq!(Refusal::of_resources(Errno::INVAL, &here), None);
    }

    #[test]
    fn an_argument_that_is_not_understood_is_of_an_old_kernel() {
        let old = HostContext { release: Release::parse("5.15.0"), ..somewhere() };
        assert!(explain(Errno::INVAL, &old).starts_with("Linux 5.15.0 is too old"));
        assert!(explain(Errno::INVAL, &somewhere()).contains("--driver epoll"));
    }

    #[test]
    fn the_status_of_a_process_is_read() {
        let text = "Name:\tringback\nVmSize:\t    2048 kB\nGid:\t1\t1\t1\t7\nGroups:\t20 30 \nCapEff:\t0000000000200000\n\
                    Seccomp:\t2\nSeccomp_filters:\t1\n";
        let status = Status(text);
        assert!(status.is_filtered() && status.has_sys_admin());
        assert_eq!((status.bytes("VmSize"), status.bytes("VmData")), (2 << 20, 0));
        assert!([7, 20, 30].iter().all(|group| status.is_member_of(*group)));
        assert!(!status.is_member_of(1) && !status.is_member_of(-1));
        let unknown = Status("");
        assert!(!unknown.is_filtered() && !unknown.has_sys_admin() && !unknown.is_member_of(0));
    }
}
