//! Whom the threads of server and generator waited for: each other or somebody else. Pure: times
//! in, shares out.

use std::collections::HashMap;

use super::quotas::UsedUp;
use super::waits::Waited;

/// A thread of the server or of the generator in the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spent {
    /// CPUs that it may use.
    pub(super) cpus: Vec<usize>,
    pub(super) ran_ns: u64,
    /// Time that it was able to run and did not, the time to wake excepted.
    pub(super) waited_ns: u64,
    /// The longest single wait is at least this.
    pub(super) longest_ns: u64,
}

/// The threads of the server and of the generator, and the idle time of the CPUs, in a window.
pub(super) struct Contention {
    pub(super) window_ns: u64,
    pub(super) idle_ns: HashMap<usize, u64>,
    pub(super) server: Vec<Spent>,
    pub(super) generator: Vec<Spent>,
    /// Interrupts, mostly those of the messages, and threads of this process that neither serve nor
    /// make the load: they are no foreign process's.
    pub(super) beside: Vec<Spent>,
}

impl Contention {
    /// How long the server's threads waited for others, a quota that was used up included.
    pub(super) fn waited(&self, used_up: Option<UsedUp>) -> Waited {
        let throttled_ns = used_up.as_ref().map_or(0, |used_up| used_up.time_ns);
        let for_others_ns = |thread: &Spent| self.beyond(&[&self.server], thread, throttled_ns);
        let for_foreign_ns = |thread: &Spent| self.beyond(&self.known(), thread, throttled_ns);
        let longest_ns = |thread: &Spent| thread.longest_ns.min(for_others_ns(thread));
        let most = self.server.iter().max_by_key(|thread| for_others_ns(thread));
        Waited {
            share: self.most_of_window(&self.server, for_others_ns),
            foreign_share: self.most_of_window(&self.server, for_foreign_ns),
            longest_ns: self.server.iter().map(longest_ns).max().unwrap_or_default(),
            cpus: most.map(|thread| thread.cpus.clone()).unwrap_or_default(),
            used_cpus: self.used_cpus(),
            used_up,
        }
    }

    /// How long the thread of the generator waited for foreign processes that did so most, as a
    /// share of the window.
    pub(super) fn generator_foreign_share(&self) -> f64 {
        self.most_of_window(&self.generator, |thread| self.beyond(&self.known(), thread, 0))
    }

    /// CPUs of the threads that did the server's work. Below a hundredth of the window a worker cannot be
    /// told from a thread that looks after it.
    fn used_cpus(&self) -> Vec<usize> {
        cpus_of(busy(&self.server).filter(|thread| thread.ran_ns >= self.window_ns / 100))
    }

    fn known(&self) -> [&[Spent]; 3] {
        [&self.server, &self.generator, &self.beside]
    }

    /// The share of the window that the one of these threads waited which did so most.
    fn most_of_window(&self, threads: &[Spent], waited_ns: impl Fn(&Spent) -> u64) -> f64 {
        let most_ns = threads.iter().map(waited_ns).max().unwrap_or_default();
        (most_ns as f64 / self.window_ns as f64).min(1.0)
    }

    /// Time that a thread waited for others than its kin. The CPUs that it waited for were others'
    /// and its kin's in the ratio of the time that they ran there; a single wait counts in full
    /// where others had the time for it. It waited for them no longer than they ran.
    fn beyond(&self, kin: &[&[Spent]], thread: &Spent, throttled_ns: u64) -> u64 {
        let of_quota_ns = throttled_ns.min(thread.waited_ns);
        let waited_ns = thread.waited_ns - of_quota_ns;
        let kin = kin.iter().copied().flatten();
        let kin_ns: f64 = kin.map(|other| other.ran_within(&thread.cpus)).sum();
        let others_ns = (self.busy_ns(&thread.cpus) - kin_ns).max(0.0);
        let siblings_ns = (kin_ns - thread.ran_ns as f64).max(0.0);
        let ratio = others_ns / (others_ns + siblings_ns).max(1.0);
        let longest_ns = thread.longest_ns.min(waited_ns) as f64;
        let for_others_ns = (waited_ns as f64 * ratio).max(longest_ns).min(others_ns);
        of_quota_ns + for_others_ns as u64
    }

    fn busy_ns(&self, cpus: &[usize]) -> f64 {
        let idle_ns = |cpu| self.idle_ns.get(cpu).copied().unwrap_or(0);
        cpus.iter().map(|cpu| self.window_ns.saturating_sub(idle_ns(cpu)) as f64).sum()
    }
}

impl Spent {
    /// Time that it ran on these CPUs, had it used its own in turn.
    fn ran_within(&self, cpus: &[usize]) -> f64 {
        let within = self.cpus.iter().filter(|cpu| cpus.contains(cpu)).count();
        self.ran_ns as f64 * within as f64 / self.cpus.len().max(1) as f64
    }
}

/// On how many CPUs the server ran at once: its quota is used up on all of them.
pub(super) fn lanes(spent: &[Spent]) -> u64 {
    cpus_of(busy(spent)).len().min(busy(spent).count()).max(1) as u64
}

fn cpus_of<'a>(threads: impl Iterator<Item = &'a Spent>) -> Vec<usize> {
    let mut cpus: Vec<usize> = threads.flat_map(|thread| &thread.cpus).copied().collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

/// Threads that did a tenth of the busiest one's work: what a helper may use says nothing of the
/// workers.
fn busy(spent: &[Spent]) -> impl Iterator<Item = &Spent> {
    let most_ns = spent.iter().map(|thread| thread.ran_ns).max().unwrap_or(0);
    spent.iter().filter(move |thread| thread.ran_ns >= most_ns / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn thread(cpus: &[usize], ran_ms: u64, waited_ms: u64) -> Spent {
        let (ran_ns, waited_ns) = (ran_ms * MS, waited_ms * MS);
        Spent { cpus: cpus.to_vec(), ran_ns, waited_ns, longest_ns: 0 }
    }

    /// A second in which others kept threads waiting, on CPUs that were idle for some of it.
    fn waited(spent: &[Spent], idle_ms: &[u64], used_up: Option<UsedUp>) -> Waited {
        waited_beside(&[], spent, idle_ms, used_up)
    }

    /// As above, beside these threads of the generator.
    fn waited_beside(
        generator: &[Spent],
        spent: &[Spent],
        idle_ms: &[u64],
        used_up: Option<UsedUp>,
    ) -> Waited {
        let idle_ns = idle_ms.iter().enumerate().map(|(cpu, ms)| (cpu, ms * MS)).collect();
        contention(generator, spent, idle_ns).waited(used_up)
    }

    fn contention(
        generator: &[Spent],
        server: &[Spent],
        idle_ns: HashMap<usize, u64>,
    ) -> Contention {
        let (server, generator) = (server.to_vec(), generator.to_vec());
        Contention { window_ns: 1000 * MS, idle_ns, server, generator, beside: vec![] }
    }

    fn percent(spent: &[Spent], idle_ms: &[u64], used_up: Option<UsedUp>) -> u64 {
        (waited(spent, idle_ms, used_up).share * 100.0).round() as u64
    }

    fn used_up(time_ms: u64) -> UsedUp {
        UsedUp { time_ns: time_ms * MS, times: 1, quota: "0.1 CPUs (cpu.max)".to_owned() }
    }

    #[test]
    fn a_server_with_a_cpu_to_itself_waits_for_nobody_else() {
        assert_eq!(percent(&[thread(&[0], 200, 610)], &[0], None), 61);
        let crowd = [thread(&[0], 500, 480), thread(&[0], 490, 500)];
        assert_eq!(percent(&crowd, &[0], None), 1);
        // Nor does one whose CPU takes long to wake.
        assert_eq!(percent(&[thread(&[0], 100, 610)], &[890], None), 1);
    }

    #[test]
    fn each_thread_is_judged_on_its_own_cpus() {
        let mut spent = vec![thread(&[0], 250, 750)];
        spent.extend((1..8).map(|cpu| thread(&[cpu], 400, 0)));
        let idle_ms = [0, 600, 600, 600, 600, 600, 600, 600];
        assert_eq!(percent(&spent, &idle_ms, None), 75, "seven idle workers change nothing");
    }

    #[test]
    fn the_cpus_of_who_waited_and_of_who_worked_are_told() {
        let cpus = |spent: &[Spent]| {
            let Waited { cpus, used_cpus, .. } = waited(spent, &[0; 4], None);
            (cpus, used_cpus)
        };
        let worker = thread(&[0, 1, 2], 300, 500);
        // A helper that is bound hides no worker that is not, nor the other way round.
        assert_eq!(cpus(&[worker.clone(), thread(&[3], 2, 1)]), (vec![0, 1, 2], vec![0, 1, 2]));
        assert_eq!(
            cpus(&[thread(&[3], 300, 500), thread(&[0, 1, 2, 3], 2, 1)]),
            (vec![3], vec![3])
        );
        assert_eq!(cpus(&[worker, thread(&[3], 300, 600)]), (vec![3], vec![0, 1, 2, 3]));
        assert_eq!(cpus(&[thread(&[3], 9, 0)]), (vec![3], vec![]), "it hardly worked");
    }

    #[test]
    fn waits_are_divided_between_siblings_and_others_by_the_time_these_ran() {
        // Sixteen threads on seven of eight CPUs; the generator has the eighth.
        let all: Vec<usize> = (0..8).collect();
        let spent: Vec<Spent> = (0..16).map(|_| thread(&all, 437, 560)).collect();
        assert_eq!(percent(&spent, &[0; 8], None), 7);
    }

    #[test]
    fn one_long_wait_is_others_where_they_had_the_time() {
        let long = |waited_ms| Spent { longest_ns: 150 * MS, ..thread(&[0], 300, waited_ms) };
        let siblings = [long(200), thread(&[0], 400, 400)];
        assert_eq!(percent(&siblings, &[0], None), 20, "half of the other's 400 ms");
        assert_eq!(percent(&[long(200), thread(&[0], 550, 0)], &[0], None), 15);
        assert_eq!(percent(&[long(200), thread(&[0], 650, 0)], &[0], None), 5);
        let longest_ms =
            |other_ms| waited(&[long(200), thread(&[0], other_ms, 0)], &[0], None).longest_ns / MS;
        assert_eq!((longest_ms(550), longest_ms(650)), (150, 50), "no longer than others ran");
    }

    #[test]
    fn waits_for_the_generator_are_not_for_foreign_processes() {
        let percents = |generator: &[Spent], spent: &[Spent], used_up| {
            let Waited { share, foreign_share, .. } =
                waited_beside(generator, spent, &[0, 0], used_up);
            [share, foreign_share].map(|share| (share * 100.0).round() as u64)
        };
        let server = [thread(&[0], 300, 600)];
        // Server and generator have the CPU, or a process has it that is neither.
        assert_eq!(percents(&[thread(&[0], 690, 300)], &server, None), [60, 1]);
        assert_eq!(percents(&[], &server, None), [60, 60]);
        // Three busy loops beside both: in the ratio that they ran.
        assert_eq!(percents(&[thread(&[0], 200, 700)], &[thread(&[0], 200, 800)], None), [80, 60]);
        // A generator on the other CPU, and one of which half of the time is there.
        assert_eq!(percents(&[thread(&[1], 690, 300)], &server, None), [60, 60]);
        assert_eq!(percents(&[thread(&[0, 1], 700, 300)], &server, None), [60, 30]);
        // Nor is a quota the generator's.
        let of_quota = Some(used_up(500));
        assert_eq!(percents(&[thread(&[0], 700, 300)], &server, of_quota), [60, 50]);
        // A single wait is foreign where foreign processes had the time for it.
        let long = [Spent { longest_ns: 150 * MS, ..thread(&[0], 300, 200) }];
        assert_eq!(percents(&[thread(&[0], 550, 300)], &long, None), [20, 15]);
        assert_eq!(percents(&[thread(&[0], 650, 300)], &long, None), [20, 5]);
    }

    #[test]
    fn a_generator_waits_for_foreign_processes_as_a_server_does() {
        let percent = |generator: &[Spent], server: &[Spent], idle_ms: u64| {
            let idle_ns = (0..2).map(|cpu| (cpu, idle_ms * MS)).collect();
            (contention(generator, server, idle_ns).generator_foreign_share() * 100.0).round()
                as u64
        };
        let starved = [thread(&[1], 250, 740)];
        assert_eq!(percent(&starved, &[thread(&[0], 600, 10)], 0), 74);
        assert_eq!(percent(&starved, &[], 0), 74, "a server that is not seen");
        // One that is has the generator's CPU, or threads of the generator share it.
        assert_eq!(percent(&starved, &[thread(&[1], 740, 250)], 0), 1);
        assert_eq!(percent(&[thread(&[1], 500, 490), thread(&[1], 490, 500)], &[], 0), 1);
        // Nor does one wait for others whose quota is used up, or whose CPU is slow to wake.
        assert_eq!(percent(&starved, &[], 750), 0);
    }

    #[test]
    fn time_without_quota_is_waiting_although_the_cpu_is_idle() {
        let throttled = [thread(&[0], 100, 850)];
        assert_eq!(percent(&throttled, &[890], None), 1);
        assert_eq!(percent(&throttled, &[890], Some(used_up(840))), 85);
        // Its group was throttled, but it did not want to run.
        assert_eq!(percent(&[thread(&[0], 100, 0)], &[890], Some(used_up(840))), 0);
    }

    #[test]
    fn a_quota_is_used_up_on_all_cpus_that_the_server_works_on() {
        let workers = [thread(&[0], 300, 0), thread(&[1], 290, 0), thread(&[0, 1, 2, 3], 1, 0)];
        assert_eq!(lanes(&workers), 2);
        assert_eq!(lanes(&[thread(&[0, 1, 2, 3], 300, 0)]), 1);
        assert_eq!(lanes(&[thread(&[0], 300, 0), thread(&[0], 300, 0)]), 1);
        assert_eq!(lanes(&[]), 1);
    }
}
