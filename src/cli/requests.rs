//! Signals as requests to a server, from before it starts: the first drains it, the second stops
//! it.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::signals::EndSignals;
use crate::say;
use crate::server::Shutdown;

/// The requests to end that have come. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct EndRequests(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    count: usize,
    /// Of the server, once there is one.
    shutdown: Option<Shutdown>,
}

impl EndRequests {
    /// Those that these signals carry, from when they were caught.
    ///
    /// # Errors
    ///
    /// When there can be no thread that waits for them.
    pub fn carried_by(signals: EndSignals) -> io::Result<Self> {
        let requests = Self::default();
        let added = requests.clone();
        signals.watch(move |_| added.add())?;
        Ok(requests)
    }

    /// Returns whether one has come.
    pub fn have_come(&self) -> bool {
        self.lock().count > 0
    }

    /// From now on they end this server, and those that have come do so at once.
    pub fn end(&self, shutdown: Shutdown) {
        let mut state = self.lock();
        (1..=state.count).for_each(|number| carry_out(number, &shutdown));
        state.shutdown = Some(shutdown);
    }

    fn add(&self) {
        let mut state = self.lock();
        state.count += 1;
        if let Some(shutdown) = &state.shutdown {
            carry_out(state.count, shutdown);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn carry_out(number: usize, shutdown: &Shutdown) {
    if number == 1 {
        // First: what workers have to say of it follows.
        say("shutting down: finishing what was received; signal again to stop at once");
        shutdown.drain();
    } else {
        shutdown.stop();
    }
}
