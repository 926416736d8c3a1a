//! The paths that every message takes, each alone and without a kernel: to be timed, and to have
//! their instructions counted, which repeats on a machine where times do not.

mod core;
#[cfg(feature = "load")]
mod recorder;
mod segments;
mod session;
mod timers;
mod world;

/// A stretch of work that can be repeated for ever.
pub struct HotPath {
    /// Operations of a repetition, such as echoes.
    pub operations: u64,
    /// Payload bytes of an operation; 0 where it has none.
    pub bytes: u64,
    work: Box<dyn FnMut()>,
}

impl HotPath {
    fn new(operations: usize, bytes: usize, work: impl FnMut() + 'static) -> Self {
        Self { operations: operations as u64, bytes: bytes as u64, work: Box::new(work) }
    }

    /// Does it once.
    pub fn repeat(&mut self) {
        (self.work)();
    }
}

/// A path's `group/name`, and how it is made: some take memory and time.
pub type Entry = (&'static str, fn() -> HotPath);

/// All of them.
pub fn all() -> Vec<Entry> {
    let mut all = Vec::new();
    all.extend(core::ALL);
    all.extend(session::ALL);
    all.extend(segments::ALL);
    all.extend(timers::ALL);
    #[cfg(feature = "load")]
    all.extend(recorder::ALL);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each checks its own work by assertions.
    #[test]
    fn every_path_can_be_repeated() {
        for (name, make) in all() {
            let mut path = make();
            (0..3).for_each(|_| path.repeat());
            assert!(path.operations > 0, "{name}");
        }
    }

    #[test]
    fn a_name_is_of_one_path() {
        let mut names: Vec<&str> = all().into_iter().map(|(name, _)| name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
