//! Limits that control groups, and so containers, put on this process (`cgroups(7)`).
//!
//! Only reads, and only reports what it is sure of: a file that is missing or not understood is no
//! limit. Both versions of the interface are looked at, since a host may mount both, and every
//! group from the process's own upwards, since the tightest of their limits is the one that holds.

use std::fmt;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// CPU time that the processes of a group may use together in each period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CpuQuota {
    time_us: u64,
    period_us: u64,
    file: PathBuf,
}

/// How often the processes of a group had used up their quota, and the time that they could not
/// run for it, added up over the CPUs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Throttled {
    pub(crate) times: u64,
    pub(crate) time_ns: u64,
}

/// Memory that the processes of a group may use together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemoryLimit {
    /// The limit in bytes.
    pub(crate) bytes: u64,
    file: PathBuf,
}

impl CpuQuota {
    /// The tightest quota of this process's groups, as the files below `root` have it (`/`, except
    /// in tests).
    pub(crate) fn detect(root: &Path) -> Option<Self> {
        groups(root, "cpu")
            .iter()
            .filter_map(|group| Self::of(group))
            .min_by_key(Self::billionths_of_a_cpu)
    }

    /// All quotas that a process is under, as seen from this one.
    pub(crate) fn of_process(root: &Path, process: u32) -> Vec<Self> {
        let groups = groups_of(root, &process.to_string(), "cpu");
        groups.iter().filter_map(|group| Self::of(group)).collect()
    }

    /// Cost of the quota so far.
    pub(crate) fn throttled(&self) -> Option<Throttled> {
        let stat = fs::read_to_string(self.file.with_file_name("cpu.stat")).ok()?;
        let number = |key: &str| -> Option<u64> {
            stat.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok())
        };
        let usec = || number("throttled_usec")?.checked_mul(1000);
        let time_ns = number("throttled_time").or_else(usec)?;
        Some(Throttled { times: number("nr_throttled")?, time_ns })
    }

    /// How many CPUs the quota can keep busy: the last of them perhaps only for a part of the time.
    pub(crate) fn cpus(&self) -> usize {
        usize::try_from(self.time_us.div_ceil(self.period_us)).unwrap_or(usize::MAX).max(1)
    }

    /// Returns whether so many CPUs can work all the time.
    pub(crate) fn keeps_busy(&self, cpus: usize) -> bool {
        u128::from(self.time_us) >= u128::from(self.period_us) * cpus as u128
    }

    #[cfg(test)]
    pub(crate) fn of_cpus(time_us: u64, period_us: u64) -> Self {
        Self { time_us, period_us, file: "cpu.max".into() }
    }

    fn of(group: &Path) -> Option<Self> {
        Self::version_2(group.join("cpu.max")).or_else(|| Self::version_1(group))
    }

    fn version_2(file: PathBuf) -> Option<Self> {
        let text = fs::read_to_string(&file).ok()?;
        let (time_us, period_us) = text.trim().split_once(' ')?;
        Self::new(time_us, period_us, file)
    }

    fn version_1(group: &Path) -> Option<Self> {
        let file = group.join("cpu.cfs_quota_us");
        let time_us = fs::read_to_string(&file).ok()?;
        let period_us = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
        Self::new(&time_us, &period_us, file)
    }

    /// Without a quota the time is `max` in version 2, -1 in version 1.
    fn new(time_us: &str, period_us: &str, file: PathBuf) -> Option<Self> {
        let time_us = time_us.trim().parse().ok()?;
        let period_us = period_us.trim().parse().ok().filter(|period| *period > 0)?;
        Some(Self { time_us, period_us, file })
    }

    fn billionths_of_a_cpu(&self) -> u128 {
        u128::from(self.time_us) * 1_000_000_000 / u128::from(self.period_us)
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpus = self.time_us as f64 / self.period_us as f64;
        // Two digits, without zeroes at the end.
        let cpus = (cpus * 100.0).round() / 100.0;
        write!(f, "{cpus} CPUs ({})", self.file.display())
    }
}

impl MemoryLimit {
    /// The tightest limit of this process's groups, as the files below `root` have it; the host's
    /// memory where that is less.
    pub(crate) fn detect(root: &Path) -> Option<Self> {
        groups(root, "memory")
            .iter()
            .flat_map(|group| ["memory.max", "memory.limit_in_bytes"].map(|file| group.join(file)))
            .filter_map(Self::read)
            .chain(Self::of_host(root))
            .min_by_key(|limit| limit.bytes)
    }

    fn of_host(root: &Path) -> Option<Self> {
        let file = Path::new("/proc/meminfo");
        let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self { bytes: kib << 10, file: file.to_owned() })
    }

    #[cfg(test)]
    pub(crate) fn of_bytes(bytes: u64) -> Self {
        Self { bytes, file: "memory.max".into() }
    }

    fn read(file: PathBuf) -> Option<Self> {
        /// Version 1 writes «none» as the largest number of whole pages.
        const NONE: u64 = 1 << 62;
        let bytes = fs::read_to_string(&file).ok()?.trim().parse().ok()?;
        (bytes < NONE).then_some(Self { bytes, file })
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB ({})", self.bytes >> 20, self.file.display())
    }
}

/// As [`groups_of`] this process.
fn groups(root: &Path, controller: &str) -> Vec<PathBuf> {
    groups_of(root, "self", controller)
}

/// Directories of the groups that a process is in, as far as `controller` may rule there: its own
/// and those above it, for each hierarchy that is mounted.
fn groups_of(root: &Path, process: &str, controller: &str) -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let memberships = read(&format!("proc/{process}/cgroup"));
    let mounts = read("proc/self/mountinfo");
    mounts
        .lines()
        .filter_map(|line| Mount::parse(line, controller))
        .filter_map(|mount| Some(mount.groups_above(root, mount.membership(&memberships)?)))
        .flatten()
        .collect()
}

/// Where a hierarchy of groups is mounted.
struct Mount<'a> {
    /// The group that is seen at the mount point: in a container often not the uppermost.
    top: &'a Path,
    point: &'a Path,
    /// The controller that says which line of `/proc/self/cgroup` is meant; version 2 has one line.
    controller: Option<&'a str>,
}

impl<'a> Mount<'a> {
    /// A line of `mountinfo` (`proc_pid_mountinfo(5)`) about a hierarchy that `controller` may be
    /// part of.
    fn parse(line: &'a str, controller: &'a str) -> Option<Self> {
        let (place, kind) = line.split_once(" - ")?;
        let mut place = place.split(' ').skip(3);
        let (top, point) = (Path::new(place.next()?), Path::new(place.next()?));
        let mut kind = kind.split(' ');
        let (name, options) = (kind.next()?, kind.nth(1)?);
        match name {
            "cgroup2" => Some(Self { top, point, controller: None }),
            "cgroup" if options.split(',').any(|option| option == controller) => {
                Some(Self { top, point, controller: Some(controller) })
            }
            _ => None,
        }
    }

    /// This process's group, from lines `ID:CONTROLLERS:PATH`.
    fn membership<'m>(&self, memberships: &'m str) -> Option<&'m Path> {
        memberships.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_meant = match self.controller {
                Some(controller) => controllers.split(',').any(|name| name == controller),
                None => controllers.is_empty(),
            };
            is_meant.then_some(Path::new(path))
        })
    }

    /// A group that cannot be seen from here, as a process has that is not in the namespace it looks
    /// from, leaves the one at the mount point.
    fn groups_above(&self, root: &Path, group: &Path) -> Vec<PathBuf> {
        let is_visible = !group.components().any(|part| part == Component::ParentDir);
        let below = group.strip_prefix(self.top).ok().filter(|_| is_visible);
        let point = root.join(self.point.strip_prefix("/").unwrap_or(self.point));
        let own = point.join(below.unwrap_or(Path::new("")));
        own.ancestors().take_while(|group| group.starts_with(&point)).map(Path::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A file system with these files.
    fn root(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().expect("a directory can be made");
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().expect("files have a directory")).expect("made");
            fs::write(path, text).expect("written");
        }
        root
    }

    fn cpus(files: &[(&str, &str)]) -> Option<(usize, String)> {
        let root = root(files);
        let quota = CpuQuota::detect(root.path())?;
        let text = quota.to_string();
        Some((quota.cpus(), text.replace(root.path().to_str().expect("it is UTF-8"), "")))
    }

    const V2: (&str, &str) = (
        "proc/self/mountinfo",
        "22 1 0:5 / /proc rw - proc proc rw\n\
         41 31 0:38 / /sys/fs/cgroup rw,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    );

    #[test]
    fn the_host_has_no_more_memory_than_it_has() {
        let meminfo = ("proc/meminfo", "MemTotal:  2048 kB\nMemFree: 1 kB\n");
        let limit = MemoryLimit::detect(root(&[meminfo]).path()).expect("it is read");
        assert_eq!(limit.to_string(), "2 MiB (/proc/meminfo)");
        let group =
            [meminfo, V2, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/memory.max", "9")];
        assert_eq!(MemoryLimit::detect(root(&group).path()).map(|limit| limit.bytes), Some(9));
    }

    #[test]
    fn a_container_of_version_2_sees_its_own_group_at_the_top() {
        let quota = |text| {
            cpus(&[V2, ("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", text)])
                .map(|(cpus, text)| (cpus, text.split(' ').next().unwrap_or_default().to_owned()))
        };
        assert_eq!(quota("max 100000\n"), None);
        assert_eq!(quota("200000 100000\n"), Some((2, "2".to_owned())));
        assert_eq!(quota("150000 100000\n"), Some((2, "1.5".to_owned())));
        assert_eq!(quota("10000 100000\n"), Some((1, "0.1".to_owned())));
        assert_eq!(quota("33333 100000\n"), Some((1, "0.33".to_owned())));
        for broken in ["", "100000", "0 0\n", "x y\n", "-1 100000\n"] {
            assert_eq!(quota(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_tightest_group_on_the_way_up_counts() {
        let files = [
            V2,
            ("proc/self/cgroup", "0::/pods/pod7/echo\n"),
            ("sys/fs/cgroup/pods/cpu.max", "800000 100000\n"),
            ("sys/fs/cgroup/pods/pod7/cpu.max", "25000 10000\n"),
            ("sys/fs/cgroup/pods/pod7/echo/cpu.max", "max 100000\n"),
            ("sys/fs/cgroup/pods/pod8/cpu.max", "1000 100000\n"),
        ];
        let expected = (3, "2.5 CPUs (/sys/fs/cgroup/pods/pod7/cpu.max)".to_owned());
        assert_eq!(cpus(&files), Some(expected));
    }

    #[test]
    fn a_container_of_version_1_is_named_as_outside_but_mounted_at_the_top() {
        let files = [
            (
                "proc/self/mountinfo",
                "35 30 0:31 /docker/ab /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
                 36 30 0:32 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("proc/self/cgroup", "5:memory:/docker/ab\n4:cpu,cpuacct:/docker/ab\n0::/x\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "1073741824\n"),
        ];
        let expected = "0.5 CPUs (/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us)".to_owned();
        assert_eq!(cpus(&files), Some((1, expected)));
        let root = root(&files);
        assert_eq!(MemoryLimit::detect(root.path()).map(|limit| limit.bytes), Some(1 << 30));
    }

    #[test]
    fn what_a_quota_has_cost_is_read_in_both_versions() {
        let v2 = [
            V2,
            ("proc/7/cgroup", "0::/echo\n"),
            ("sys/fs/cgroup/echo/cpu.max", "10000 100000\n"),
            ("sys/fs/cgroup/echo/cpu.stat", "nr_periods 9\nnr_throttled 3\nthrottled_usec 70\n"),
        ];
        let v1 = [
            (
                "proc/self/mountinfo",
                "35 30 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n",
            ),
            ("proc/7/cgroup", "4:cpu,cpuacct:/echo\n"),
            ("sys/fs/cgroup/cpu/echo/cpu.cfs_quota_us", "10000\n"),
            ("sys/fs/cgroup/cpu/echo/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/cpu/echo/cpu.stat", "nr_throttled 3\nthrottled_time 70000\n"),
        ];
        for root in [root(&v2), root(&v1)] {
            let quotas = CpuQuota::of_process(root.path(), 7);
            let [quota] = quotas.as_slice() else { panic!("{quotas:?}") };
            assert_eq!(quota.throttled(), Some(Throttled { times: 3, time_ns: 70_000 }));
            assert!(CpuQuota::of_process(root.path(), 8).is_empty());
        }
    }

    #[test]
    fn a_group_outside_the_namespace_is_taken_for_the_one_mounted() {
        let files = [
            V2,
            ("proc/self/cgroup", "0::/../../elsewhere\n"),
            ("sys/fs/cgroup/cpu.max", "300000 100000\n"),
            ("sys/fs/cgroup/memory.max", "max\n"),
        ];
        assert_eq!(cpus(&files).map(|(cpus, _)| cpus), Some(3));
        assert_eq!(MemoryLimit::detect(root(&files).path()), None);
    }

    #[test]
    fn where_nothing_can_be_read_nothing_is_limited() {
        assert_eq!(cpus(&[]), None);
        let unlimited = [
            V2,
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(MemoryLimit::detect(root(&unlimited).path()), None);
    }
}
