//! Takes what the process says through `tracing`.

use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Metadata, span};

use super::Log;
use super::style::Record;

/// Gives events of this library and its programs to the log. Spans are not used here, and no one
/// else's events are of interest to an operator.
pub(super) struct Subscriber {
    log: &'static Log,
    level: LevelFilter,
}

impl Subscriber {
    pub(super) fn new(log: &'static Log, level: LevelFilter) -> Self {
        Self { log, level }
    }
}

impl tracing::Subscriber for Subscriber {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && *metadata.level() <= self.level
            && metadata.target().starts_with("ringback")
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn event(&self, event: &Event<'_>) {
        let mut record = Record::default();
        event.record(&mut record);
        self.log.record(*event.metadata().level(), record);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
