//! The driver of a simulated world, whichever it is.

use std::io;

use super::kernel::FakeKernel;
use crate::driver::{epoll, uring};
use crate::metrics::Counters;
use crate::testing::either::Either;

pub(super) enum Driver {
    Native(uring::Driver<Either, FakeKernel>),
    Copying(epoll::Driver<Either, FakeKernel>),
}

/// Asks the driver, whichever it is.
macro_rules! ask {
    ($self:ident.$method:ident()) => {
        match $self {
            Self::Native(driver) => driver.$method(),
            Self::Copying(driver) => driver.$method(),
        }
    };
}

impl Driver {
    pub(super) fn turn(&mut self) -> io::Result<()> {
        ask!(self.turn())
    }

    pub(super) fn is_finished(&self) -> bool {
        ask!(self.is_finished())
    }

    pub(super) fn kernel(&self) -> &FakeKernel {
        ask!(self.kernel())
    }

    pub(super) fn kernel_mut(&mut self) -> &mut FakeKernel {
        ask!(self.kernel_mut())
    }

    pub(super) fn counters(&self) -> Counters {
        ask!(self.counters())
    }

    pub(super) fn connection_count(&self) -> usize {
        ask!(self.connection_count())
    }

    pub(super) fn spilled_bytes(&self) -> usize {
        ask!(self.spilled_bytes())
    }
}
