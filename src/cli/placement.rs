//! Who runs where in a run of the load generator.

/// CPUs of the embedded server and of the generator's threads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    /// CPU of the embedded server's one worker, where there is one.
    pub(super) server: Option<usize>,
    /// CPUs of the generator's threads; none means anywhere.
    pub(super) generator: Vec<usize>,
    pub(super) threads: usize,
    /// Whether every generator thread has a CPU to itself, so that polling costs nobody anything.
    pub(super) may_spin: bool,
}

impl Placement {
    /// Keeps the embedded server and the generator apart if that can be done: the server on the
    /// first allowed CPU that the generator was not given, the generator on the others.
    ///
    /// `cpus` and `threads` are what the user asked for. There are never more threads than
    /// connections.
    pub(super) fn choose(
        allowed: &[usize],
        is_embedded: bool,
        cpus: Option<&[usize]>,
        threads: Option<usize>,
        connections: usize,
    ) -> Self {
        let generator = match cpus {
            Some(cpus) => cpus.to_vec(),
            None if is_embedded && allowed.len() > 1 => allowed[1..].to_vec(),
            None if is_embedded => allowed.to_vec(),
            None => Vec::new(),
        };
        let server = is_embedded.then(|| {
            let free = allowed.iter().find(|cpu| !generator.contains(cpu));
            *free.unwrap_or(&allowed[0])
        });
        let threads = threads.unwrap_or(cpus.map_or(1, <[usize]>::len)).min(connections);
        let own_cpus = match (generator.len(), server) {
            (0, _) => allowed.len().saturating_sub(1),
            (several, Some(server)) if generator.contains(&server) => several - 1,
            (several, _) => several,
        };
        Self { server, generator, threads, may_spin: threads <= own_cpus }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_and_generator_are_kept_apart() {
        let choose = |allowed: &[usize], cpus: Option<&[usize]>, threads| {
            let placement = Placement::choose(allowed, true, cpus, threads, 64);
            (placement.server, placement.generator, placement.threads, placement.may_spin)
        };
        assert_eq!(choose(&[0, 1], None, None), (Some(0), vec![1], 1, true));
        assert_eq!(choose(&[2, 4, 6], None, Some(2)), (Some(2), vec![4, 6], 2, true));
        assert_eq!(choose(&[0, 1], Some(&[0]), None), (Some(1), vec![0], 1, true));
        assert_eq!(choose(&[0, 1, 2, 3], Some(&[1, 2]), None), (Some(0), vec![1, 2], 2, true));
        assert_eq!(choose(&[0, 1], None, Some(2)), (Some(0), vec![1], 2, false));
    }

    #[test]
    fn one_cpu_is_shared_without_polling() {
        let placement = Placement::choose(&[3], true, None, None, 64);
        let expected =
            Placement { server: Some(3), generator: vec![3], threads: 1, may_spin: false };
        assert_eq!(placement, expected);
    }

    #[test]
    fn against_another_server_the_scheduler_places_the_generator() {
        let placement = Placement::choose(&[0, 1], false, None, None, 64);
        let expected = Placement { server: None, generator: vec![], threads: 1, may_spin: true };
        assert_eq!(placement, expected);
        assert_eq!(Placement::choose(&[0, 1], false, Some(&[0, 1]), None, 1).threads, 1);
    }
}
