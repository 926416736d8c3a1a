//! How much CPU time threads have used, by the kernel's own accounting in nanoseconds.

use std::collections::HashSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

/// Threads whose CPU time is added up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Threads {
    /// These threads of this process, by kernel thread id.
    OfThisProcess(Vec<i32>),
    /// All threads of these processes.
    OfProcesses(Vec<u32>),
}

impl Threads {
    /// The processes that listen on this address of this host, this one excepted. `None` where
    /// there are none, the address is another host's, or we may not see.
    pub(super) fn listening_on(address: SocketAddr) -> Option<Self> {
        let inodes = listening_inodes(address);
        let processes: Vec<u32> = numbers_in(Path::new("/proc"))
            .filter(|pid| *pid != std::process::id() && holds_one_of(*pid, &inodes))
            .collect();
        (!processes.is_empty()).then_some(Self::OfProcesses(processes))
    }

    /// Time since each thread's start; `None` when none can be read.
    pub(super) fn time(&self) -> Option<CpuTime> {
        let schedstats: Vec<PathBuf> = match self {
            Self::OfThisProcess(threads) => threads
                .iter()
                .map(|thread| format!("/proc/self/task/{thread}/schedstat").into())
                .collect(),
            Self::OfProcesses(processes) => processes
                .iter()
                .flat_map(|pid| {
                    let tasks = PathBuf::from(format!("/proc/{pid}/task"));
                    numbers_in(&tasks).map(move |tid| tasks.join(format!("{tid}/schedstat")))
                })
                .collect(),
        };
        schedstats.iter().filter_map(|path| CpuTime::read(path)).reduce(CpuTime::add)
    }
}

/// What threads did with their time, in nanoseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CpuTime {
    /// On a CPU.
    pub(super) used_ns: u64,
    /// Able to run, while something else had the CPU.
    pub(super) waited_ns: u64,
}

impl CpuTime {
    /// The first two fields of a `schedstat` file (`proc_pid_schedstat(5)`).
    fn read(schedstat: &Path) -> Option<Self> {
        let text = fs::read_to_string(schedstat).ok()?;
        let mut fields = text.split_whitespace().map(|field| field.parse().ok());
        Some(Self { used_ns: fields.next()??, waited_ns: fields.next()?? })
    }

    fn add(self, other: Self) -> Self {
        Self { used_ns: self.used_ns + other.used_ns, waited_ns: self.waited_ns + other.waited_ns }
    }

    /// The time since an earlier reading; `None` when a thread that ended took its time with it.
    pub(super) fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            used_ns: self.used_ns.checked_sub(earlier.used_ns)?,
            waited_ns: self.waited_ns.checked_sub(earlier.waited_ns)?,
        })
    }
}

fn listening_inodes(address: SocketAddr) -> HashSet<u64> {
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| table.lines().filter_map(Listener::parse).collect::<Vec<_>>())
        .filter(|listener| listener.accepts(address))
        .map(|listener| listener.inode)
        .collect()
}

/// A line of `/proc/net/tcp` or `tcp6` about a listening socket.
#[derive(Debug, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

impl Listener {
    fn parse(line: &str) -> Option<Self> {
        const LISTEN: &str = "0A";
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        if *state != LISTEN {
            return None;
        }
        let (ip, port) = local.split_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        Some(Self { address: SocketAddr::new(parse_ip(ip)?, port), inode: inode.parse().ok()? })
    }

    fn accepts(&self, address: SocketAddr) -> bool {
        let ip = self.address.ip();
        self.address.port() == address.port()
            && (ip == address.ip() || (ip.is_unspecified() && (ip.is_ipv6() || address.is_ipv4())))
    }
}

/// An address as the kernel prints it: hexadecimal, each 32-bit word in the host's byte order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let words: Vec<[u8; 4]> = (0..hex.len())
        .step_by(8)
        .map(|start| {
            let word = u32::from_str_radix(hex.get(start..start + 8)?, 16).ok()?;
            Some(word.to_ne_bytes())
        })
        .collect::<Option<_>>()?;
    match words.as_slice() {
        [word] => Some(Ipv4Addr::from(*word).into()),
        [_, _, _, _] => {
            let octets: [u8; 16] = words.concat().try_into().ok()?;
            Some(Ipv6Addr::from(octets).to_canonical())
        }
        _ => None,
    }
}

fn holds_one_of(pid: u32, inodes: &HashSet<u64>) -> bool {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors
        .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
        .filter_map(|target| {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        })
        .any(|inode: u64| inodes.contains(&inode))
}

/// The entries of a directory whose names are numbers.
fn numbers_in(directory: &Path) -> impl Iterator<Item = u32> + use<> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn listeners_are_read_from_the_kernels_table() {
        let line = "   0: 0100007F:FF98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1";
        let listener = Listener::parse(line);
        let expected = Listener { address: "127.0.0.1:65432".parse().unwrap(), inode: 4711 };
        #[cfg(target_endian = "little")]
        assert_eq!(listener, Some(expected));
        assert_eq!(Listener::parse(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(Listener::parse("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn a_wildcard_listener_accepts_every_address_of_its_family() {
        let listener =
            |ip: &str| Listener { address: SocketAddr::new(ip.parse().unwrap(), 80), inode: 1 };
        let v4 = "10.0.0.1:80".parse().unwrap();
        let v6 = "[::1]:80".parse().unwrap();
        assert!(listener("0.0.0.0").accepts(v4) && !listener("0.0.0.0").accepts(v6));
        assert!(listener("::").accepts(v4) && listener("::").accepts(v6));
        assert!(listener("10.0.0.1").accepts(v4) && !listener("10.0.0.2").accepts(v4));
        assert!(!listener("10.0.0.1").accepts("10.0.0.1:81".parse().unwrap()));
    }

    #[test]
    fn our_own_listener_is_in_the_table_but_is_not_another_process() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(address) else { continue };
            let address = listener.local_addr().unwrap();
            let inodes = listening_inodes(address);
            assert_eq!(inodes.len(), 1);
            assert!(holds_one_of(std::process::id(), &inodes));
            assert_eq!(Threads::listening_on(address), None);
        }
    }

    #[test]
    fn a_threads_cpu_time_grows_as_it_works() {
        let threads = Threads::OfThisProcess(vec![rustix::thread::gettid().as_raw_nonzero().get()]);
        let before = threads.time().unwrap();
        let mut sum = 0_u64;
        while threads.time().unwrap().since(before).unwrap().used_ns == 0 {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        assert_eq!(before.since(threads.time().unwrap()), None);
        assert_eq!(Threads::OfThisProcess(vec![-1]).time(), None);
    }
}
