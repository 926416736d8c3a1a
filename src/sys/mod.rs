//! The only place with `unsafe`: a ring, its receive buffers and mapped memory behind a safe
//! interface. Knows nothing of protocols, connections or policy.
//!
//! # Why the interface is safe
//!
//! The kernel writes into a receive buffer from the moment it is provided until a completion names
//! it, and reads from a send's memory from the moment it is submitted until its completion. So:
//!
//! 1. [`Ring`] maps the buffers and provides them to the kernel.
//! 2. A receive completion takes one buffer back and hands it out as a [`Lease`]: a value that
//!    cannot be copied, only split. [`Ring::bytes`] reads it.
//! 3. A send takes leases (and owned bytes) by value: they move into the ring as [`Parts`] and come
//!    back with its completion. Nobody else can name them meanwhile.
//! 4. [`Ring::recycle`] takes a lease for good. When every byte of a buffer has come back, the
//!    buffer is free and may be provided to the kernel again.
//! 5. The ring owns its sockets, and closes none for which something is in flight.
//! 6. A ring that is dropped cancels what is in flight and waits for its end. Should that not come,
//!    its memory is given up instead of freed.

#![allow(unsafe_code)]

#[cfg(feature = "server")]
mod buf_ring;
pub(crate) mod clock;
#[cfg(feature = "server")]
mod descriptor;
#[cfg(feature = "server")]
mod in_flight;
#[cfg(feature = "server")]
mod kernel;
#[cfg(feature = "server")]
mod lease;
#[cfg(feature = "server")]
mod mmap;
#[cfg(feature = "server")]
mod owned;
#[cfg(feature = "server")]
mod parts;
#[cfg(feature = "server")]
mod probe;
pub(crate) mod process;
#[cfg(feature = "server")]
mod refusal;
#[cfg(feature = "server")]
mod ring;
#[cfg(feature = "server")]
mod sandbox;
#[cfg(feature = "server")]
mod setup;
pub(crate) mod signal;
#[cfg(feature = "server")]
mod slots;
pub(crate) mod sockopt;
#[cfg(feature = "server")]
mod token;

#[cfg(feature = "server")]
pub(crate) use self::{
    descriptor::{Watched, descriptor_of, take_inherited},
    kernel::Release,
    lease::{Lease, LeaseTable},
    owned::Owned,
    parts::{Part, Parts, Stretch},
    probe::{Feature, Need, examine, try_native_ring, try_plain_ring, try_rings},
    refusal::{Refusal, explain_resources, explain_ring},
    ring::{Activity, Completion, Notify, Outcome, Ring, Wait, limit_kernel_workers},
    sandbox::{filter_system_calls, try_filters},
    setup::{Mode, RingError},
    slots::trim,
    token::{GENERATION_BITS, Operation, Token},
};
#[cfg(feature = "server")]
pub use setup::RingSize;
