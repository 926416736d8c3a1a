//! The drivers over a fake kernel, under faults that a seed decides: the native one, which is told of
//! completions, and the one that is told what is ready and copies what waits.
//!
//! After TigerBeetle's message-bus fuzzer: completions are delayed and reordered, receives and
//! sends cut short, multishots ended without cause, cancellations missed, buffers and descriptors
//! run out, peers stall, half-close, reset and send garbage, and the shutdown starts at any moment.
//! Time is virtual.
//!
//! A run fails, by a panic that names the seed, when a byte is lost, duplicated or reordered, a
//! lease does not return, a slot is freed early or never, an operation is in flight twice, or
//! anything is stuck.

mod conditions;
mod driver;
mod kernel;
mod mutation;
mod peer;
mod plan;

use std::sync::Arc;

use self::conditions::{Hostility, Scarcity, protocol, settings};
use self::driver::Driver;
use self::kernel::FakeKernel;
pub use self::mutation::Mutation;
use self::plan::Plan;

use super::rng::Rng;
use crate::driver::{epoll, uring};
use crate::lifecycle::{Admission, AdmissionLimits};
use crate::metrics::Counters;

/// Parameters of a run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Decides everything.
    pub seed: u64,
    /// The driver.
    pub session: Session,
    /// How much there is of everything.
    pub size: Size,
    /// Steps of hostile time before everything calms down and has to end well.
    pub steps: usize,
    /// A bug to plant.
    pub mutation: Option<Mutation>,
}

/// A driver, and with it how the kernel is asked and where bytes lie that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Session {
    /// Completions; bytes wait in the buffers that they were received into.
    Native,
    /// Readiness; bytes that wait are copied out of one buffer.
    Copying,
}

/// How much there is in a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Up to three peers and a few kilobytes: a fuzzer sees thousands a second.
    Small,
    /// Up to 25 peers and half a megabyte.
    Large,
}

/// Coverage of a run, by which tests check that seeds reach what they are for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    /// Counters of the driver.
    pub counters: Counters,
    /// Peers that reset their connection or were reset.
    pub resets: usize,
    /// True if the shutdown started while the world was hostile.
    pub hostile_shutdown: bool,
    /// True if losses could be compared to the byte, and there were some.
    pub exact_losses: bool,
}

/// Runs one seed to its end.
///
/// # Panics
///
/// When a promise is broken.
pub fn run(options: Options) -> Report {
    run_script(options, &[])
}

/// Runs decisions that are written out, two bytes each; where they end, those of the seed go on.
///
/// # Panics
///
/// When a promise is broken.
pub fn run_script(options: Options, script: &[u8]) -> Report {
    let mut world = World::new(options, script);
    if let Err(reason) = world.run() {
        panic!("seed {}, step {}: {reason}", options.seed, world.kernel().step);
    }
    world.report()
}

struct World {
    driver: Driver,
    admission: Arc<Admission>,
}

/// Control bytes that the core can owe one peer of the simulation at once: some PONGs, a GOAWAY and
/// an ERROR with what each is charged.
const CONTROL_BYTES: usize = 40 * 256;

impl World {
    fn new(options: Options, script: &[u8]) -> Self {
        let mut rng = Rng::new(options.seed, script);
        let hostility = Hostility::random(&mut rng);
        let listeners = rng.between(1, 2);
        let plan = Plan::random(&mut rng, options.size, options.steps);
        let protocol = protocol(plan.is_framed, plan.scarcity);
        let settings = settings(&mut rng, plan.scarcity);
        let admission = Arc::new(Admission::new(AdmissionLimits {
            max_connections: plan.scarcity.places,
            max_per_peer: plan.scarcity.places_per_peer,
            max_overflow: plan.scarcity.places.min(64),
        }));
        let kernel = FakeKernel::new(rng, hostility, options.mutation, plan, listeners);
        let driver = match options.session {
            Session::Native => {
                let admission = Arc::clone(&admission);
                Driver::Native(uring::Driver::new(kernel, listeners, protocol, settings, admission))
            }
            Session::Copying => {
                let (admission, buffer) = (Arc::clone(&admission), vec![0; kernel.buffer_size()]);
                let numbers = 0..listeners as u32;
                Driver::Copying(epoll::Driver::new(
                    kernel, numbers, buffer, protocol, settings, admission,
                ))
            }
        };
        Self { driver, admission }
    }

    fn kernel(&self) -> &FakeKernel {
        self.driver.kernel()
    }

    fn plan(&self) -> &Plan {
        self.kernel().plan()
    }

    fn run(&mut self) -> Result<(), String> {
        while !self.driver.is_finished() {
            self.driver.turn().map_err(|error| error.to_string())?;
            self.kernel().check()?;
            self.check_memory()?;
        }
        self.check_nothing_is_left()?;
        self.check_losses()?;
        let served = !self.plan().had_hostile_shutdown() && self.plan().scarcity == Scarcity::NONE;
        self.driver.kernel_mut().end_peers(served)
    }

    /// Copies stay within the budget. What the core itself has to say comes on top, until the
    /// connections that keep it are ended as well.
    fn check_memory(&self) -> Result<(), String> {
        let own = self.driver.connection_count() * CONTROL_BYTES;
        let limit = self.plan().scarcity.memory.saturating_add(own);
        match self.driver.spilled_bytes() {
            spilled if spilled > limit => Err(format!("{spilled} bytes of copies, not {limit}")),
            _ => Ok(()),
        }
    }

    fn check_nothing_is_left(&self) -> Result<(), String> {
        let leased = self.kernel().leased_buffers();
        let (spilled, admitted) = (self.driver.spilled_bytes(), self.admission.permits());
        match (leased, spilled, admitted) {
            (0, 0, 0) => Ok(()),
            (0, ..) => Err(format!("{spilled} bytes and {admitted} permits never came back")),
            _ => Err(format!("{leased} buffers never came back")),
        }
    }

    /// Every peer that was not accepted and every received byte that did not go back is accounted
    /// for.
    fn check_losses(&self) -> Result<(), String> {
        let Counters { lost_bytes, late_bytes, accepted, unaccepted, .. } = self.driver.counters();
        let left = self.kernel().unaccepted as u64;
        if left != unaccepted {
            return Err(format!("{left} peers were never accepted, but {unaccepted} counted"));
        }
        let connected = self.kernel().peers.len() as u64;
        if connected != accepted + unaccepted {
            return Err(format!("{connected} peers connected, but {accepted} were accepted"));
        }
        let unechoed = self.kernel().unechoed as u64;
        if self.losses_are_exact() && unechoed != lost_bytes + late_bytes {
            return Err(format!(
                "{unechoed} bytes were not echoed, but {lost_bytes} counted as lost and \
                 {late_bytes} late"
            ));
        }
        Ok(())
    }

    fn losses_are_exact(&self) -> bool {
        !self.plan().is_framed
            && self.plan().scarcity == Scarcity::NONE
            && self.kernel().peers.iter().all(|peer| !peer.is_reset)
    }

    fn report(&self) -> Report {
        let counters = self.driver.counters();
        Report {
            counters,
            resets: self.kernel().peers.iter().filter(|peer| peer.is_reset).count(),
            hostile_shutdown: self.plan().had_hostile_shutdown(),
            exact_losses: self.losses_are_exact() && counters.lost_bytes > 0,
        }
    }
}
