//! What the messages of a run are made of, the same for all its threads.

use super::config::Config;
use super::pattern::Pattern;
use super::sizes::{SizeDraw, Sizes};
use super::wire;

/// The bytes and the lengths of messages.
pub(super) struct Content {
    pub(super) pattern: Pattern,
    pub(super) sizes: Sizes,
    seed: u64,
}

impl Content {
    pub(super) fn of(config: &Config) -> Self {
        let longest_slice = wire::longest_slice(config.protocol, config.sizes.largest());
        Self {
            pattern: Pattern::new(config.seed, longest_slice),
            sizes: config.sizes.clone(),
            seed: config.seed,
        }
    }

    /// The lengths of the messages of connection number `connection`.
    pub(super) fn draw(&self, connection: usize) -> SizeDraw {
        SizeDraw::new(self.seed, connection)
    }
}
