//! Who runs where in a run of the load generator.

/// The server's place, as far as it is ours to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServerPlace<'a> {
    /// It runs already, on these, or none that are known.
    Running(&'a [usize]),
    /// On one CPU, whichever suits.
    Any,
    /// On these.
    On(&'a [usize]),
}

/// CPUs of the server and of the generator's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// CPUs of the server, if it is ours to place.
    pub(super) server: Vec<usize>,
    /// CPUs of the generator's threads; none means anywhere.
    pub(super) generator: Vec<usize>,
    pub(super) threads: usize,
    /// True if every generator thread has a CPU to itself, so that polling costs nobody anything.
    pub(super) may_spin: bool,
}

impl Placement {
    /// Keeps the server and the generator apart if that can be done: the server on the first
    /// allowed CPU that the generator was not given, the generator on the others.
    ///
    /// `cpus` and `threads` are what the user asked for. There are never more threads than
    /// connections.
    pub(super) fn choose(
        allowed: &[usize],
        server: ServerPlace<'_>,
        cpus: Option<&[usize]>,
        threads: Option<usize>,
        connections: usize,
    ) -> Self {
        let running = match server {
            ServerPlace::Running(running) => Some(running),
            ServerPlace::Any | ServerPlace::On(_) => None,
        };
        let generator = match (cpus, server) {
            (Some(cpus), _) => cpus.to_vec(),
            (None, ServerPlace::Running(server)) => apart(allowed, server),
            (None, ServerPlace::Any) => others(allowed, &allowed[..1]),
            (None, ServerPlace::On(server)) => others(allowed, server),
        };
        let server = match server {
            ServerPlace::Running(_) => Vec::new(),
            ServerPlace::Any => vec![others(allowed, &generator)[0]],
            ServerPlace::On(server) => server.to_vec(),
        };
        let threads = threads.unwrap_or(cpus.map_or(1, <[usize]>::len)).min(connections);
        let own_cpus = match (running, generator.len()) {
            // Wherever the scheduler puts a thread, the server has the others.
            (Some(_), 0) => allowed.len().saturating_sub(1),
            (Some(running), _) => free(&generator, running).len(),
            (None, _) => free(&generator, &server).len(),
        };
        Self { server, generator, threads, may_spin: threads <= own_cpus }
    }
}

/// All CPUs but these, and all of them if there are no others.
fn others(allowed: &[usize], taken: &[usize]) -> Vec<usize> {
    let free = free(allowed, taken);
    if free.is_empty() { allowed.to_vec() } else { free }
}

/// The CPUs that a running server leaves, if it takes some and leaves some; else the scheduler
/// chooses.
fn apart(allowed: &[usize], running: &[usize]) -> Vec<usize> {
    let free = free(allowed, running);
    if free.len() == allowed.len() { Vec::new() } else { free }
}

fn free(allowed: &[usize], taken: &[usize]) -> Vec<usize> {
    allowed.iter().copied().filter(|cpu| !taken.contains(cpu)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_generator_are_kept_apart() {
        let choose = |allowed: &[usize], cpus: Option<&[usize]>, threads| {
            let placement = Placement::choose(allowed, ServerPlace::Any, cpus, threads, 64);
            (placement.server, placement.generator, placement.threads, placement.may_spin)
        };
        assert_eq!(choose(&[0, 1], None, None), (vec![0], vec![1], 1, true));
        assert_eq!(choose(&[2, 4, 6], None, Some(2)), (vec![2], vec![4, 6], 2, true));
        assert_eq!(choose(&[0, 1], Some(&[0]), None), (vec![1], vec![0], 1, true));
        assert_eq!(choose(&[0, 1, 2, 3], Some(&[1, 2]), None), (vec![0], vec![1, 2], 2, true));
        assert_eq!(choose(&[0, 1], None, Some(2)), (vec![0], vec![1], 2, false));
        assert_eq!(choose(&[0, 1], Some(&[0, 1]), None), (vec![0], vec![0, 1], 2, false));
    }

    #[test]
    fn the_generator_leaves_the_servers_cpus_to_it() {
        let choose = |server: &[usize], cpus: Option<&[usize]>| {
            let place = ServerPlace::On(server);
            let placement = Placement::choose(&[0, 1, 2, 3], place, cpus, None, 64);
            (placement.server, placement.generator, placement.may_spin)
        };
        assert_eq!(choose(&[1, 2], None), (vec![1, 2], vec![0, 3], true));
        assert_eq!(choose(&[1, 2], Some(&[2])), (vec![1, 2], vec![2], false));
        assert_eq!(choose(&[0, 1, 2, 3], None), (vec![0, 1, 2, 3], vec![0, 1, 2, 3], false));
    }

    #[test]
    fn one_cpu_is_shared_without_polling() {
        let placement = Placement::choose(&[3], ServerPlace::Any, None, None, 64);
        let expected =
            Placement { server: vec![3], generator: vec![3], threads: 1, may_spin: false };
        assert_eq!(placement, expected);
    }

    #[test]
    fn a_running_server_keeps_its_cpus() {
        let choose = |running: &[usize], cpus: Option<&[usize]>| {
            let place = ServerPlace::Running(running);
            let placement = Placement::choose(&[0, 1, 2], place, cpus, None, 64);
            assert!(placement.server.is_empty());
            (placement.generator, placement.may_spin)
        };
        assert_eq!(choose(&[0], None), (vec![1, 2], true));
        assert_eq!(choose(&[0, 1, 2], None), (vec![], true));
        assert_eq!(choose(&[0, 1], Some(&[0])), (vec![0], false));
        assert_eq!(choose(&[0, 1], Some(&[2])), (vec![2], true));
        // It uses CPUs that are not ours.
        assert_eq!(choose(&[7], None), (vec![], true));
    }

    #[test]
    fn against_a_server_that_is_not_seen_the_scheduler_places_the_generator() {
        let choose = |cpus| Placement::choose(&[0, 1], ServerPlace::Running(&[]), cpus, None, 1);
        let expected = Placement { server: vec![], generator: vec![], threads: 1, may_spin: true };
        assert_eq!(choose(None), expected);
        assert_eq!(choose(Some(&[0, 1])).threads, 1);
    }
}
