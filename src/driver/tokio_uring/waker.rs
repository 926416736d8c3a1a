//! Wakes a task from another task of the same thread.

use std::cell::Cell;
use std::task::{self, Context, Poll};

/// Remembers one wake-up until it is polled.
#[derive(Default)]
pub(super) struct Waker {
    is_woken: Cell<bool>,
    waker: Cell<Option<task::Waker>>,
}

impl Waker {
    pub(super) fn wake(&self) {
        self.is_woken.set(true);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Ready when it was woken since the last time.
    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.is_woken.replace(false) {
            return Poll::Ready(());
        }
        let waker = self.waker.take();
        let still_right = waker.filter(|waker| waker.will_wake(context.waker()));
        self.waker.set(Some(still_right.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }
}
