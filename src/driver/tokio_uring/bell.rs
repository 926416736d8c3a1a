//! Calls a task from another task of the same thread.

use std::cell::Cell;
use std::task::{Context, Poll, Waker};

/// Remembers one ring until it is heard.
#[derive(Default)]
pub(super) struct Bell {
    is_rung: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.is_rung.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when it was rung since the last time.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_rung.replace(false) {
            return Poll::Ready(());
        }
        let waker = self.waker.take();
        let still_right = waker.filter(|waker| waker.will_wake(context.waker()));
        self.waker.set(Some(still_right.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }
}
