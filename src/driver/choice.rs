//! Which driver can run here.

use std::fmt;

use super::DriverKind;
use crate::sys::{self, Mode, Refusal, RingSize};

/// The driver that was chosen for a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The driver that serves.
    pub driver: DriverKind,
    /// Why it is not the best there is, if it is not.
    pub(crate) obstacle: Option<Refusal>,
}

impl Choice {
    /// The native driver if that many workers with such rings can run here, else epoll.
    pub(crate) fn of_the_best(workers: usize, ring: RingSize) -> Self {
        let native = DriverKind::Uring;
        let possible = native.try_out().and_then(|_| sys::try_rings(ring, workers));
        match possible {
            Ok(()) => Self { driver: native, obstacle: None },
            Err(obstacle) => Self { driver: DriverKind::FALLBACK, obstacle: Some(obstacle) },
        }
    }

    /// A warning if epoll serves in place of what was asked for.
    pub fn warning(&self) -> Option<String> {
        self.obstacle.as_ref().map(fallback_warning)
    }
}

/// The warning when epoll serves because of this obstacle.
pub(crate) fn fallback_warning(obstacle: impl fmt::Display) -> String {
    let driver = DriverKind::FALLBACK;
    format!("the {driver} driver serves, since io_uring cannot be used: {obstacle}")
}

impl DriverKind {
    /// Tries whether the kernel lets a driver of this kind work; returns a remark on how it does.
    pub(crate) fn try_out(self) -> Result<Option<&'static str>, Refusal> {
        match self {
            Self::Uring => sys::try_native_ring().map(|mode| match mode {
                Mode::Deferred => None,
                Mode::Cooperative => Some(
                    "this kernel refuses DEFER_TASKRUN (Linux 6.1): workers run a little slower",
                ),
            }),
            Self::TokioUring => sys::try_plain_ring().map(|()| None),
            Self::Epoll => Ok(None),
        }
    }
}
