//! Drivers over a fake kernel: see `ringback::testing::simulation`.
//!
//! `RBTEST_SIM_SEED=N` replays one seed, `RBTEST_SIM_SEEDS=N` tries that many.

use std::num::NonZero;
use std::panic::catch_unwind;
use std::thread;

use ringback::testing::simulation::{Mutation, Options, Report, Session, Size, run};

const SEEDS: u64 = 600;
const STEPS: usize = 2_000;

fn from_environment(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value}: not a number")))
}

fn try_seed(session: Session, seed: u64, mutation: Option<Mutation>) -> Report {
    run(Options { seed, session, size: Size::Large, steps: STEPS, mutation })
}

/// Tries every seed below `seeds`, on all CPUs.
fn try_all(session: Session, seeds: u64) -> Vec<Report> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let try_every_nth = |first| {
        let seeds = (first as u64..seeds).step_by(threads);
        seeds.map(|seed| try_seed(session, seed, None)).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let tries: Vec<_> =
            (0..threads).map(|first| scope.spawn(move || try_every_nth(first))).collect();
        tries.into_iter().flat_map(|part| part.join().expect("every seed ends well")).collect()
    })
}

#[test]
fn every_seed_of_the_native_session_ends_well() {
    let Some(reports) = try_chosen(Session::Native) else { return };
    let ran_out = reports.iter().any(|report| report.counters.buffer_waits > 0);
    assert!(ran_out, "no seed ran out of buffers");
    assert_reached(&reports);
}

#[test]
fn every_seed_of_the_copying_session_ends_well() {
    let Some(reports) = try_chosen(Session::Copying) else { return };
    assert_reached(&reports);
}

/// Tries the seed that the environment names, or as many as it says.
fn try_chosen(session: Session) -> Option<Vec<Report>> {
    if let Some(seed) = from_environment("RBTEST_SIM_SEED") {
        eprintln!("{:?}", try_seed(session, seed, None));
        return None;
    }
    Some(try_all(session, from_environment("RBTEST_SIM_SEEDS").unwrap_or(SEEDS)))
}

/// Seeds have met what they are for.
fn assert_reached(reports: &[Report]) {
    let reached = |what: fn(&Report) -> bool| reports.iter().filter(|report| what(report)).count();
    assert!(reached(|report| report.counters.accept_pauses > 0) > 0, "no seed paused accepting");
    assert!(reached(|report| report.resets > 0) > 0, "no seed had a reset");
    assert!(reached(|report| report.hostile_shutdown) > 0, "no seed shut down early");
    assert!(reached(|report| report.exact_losses) > 0, "no seed lost bytes at its deadline");
    assert!(reached(|report| report.counters.unaccepted > 0) > 0, "no seed left anybody waiting");
    assert!(reached(|report| report.counters.refused > 0) > 0, "no seed ran out of places");
    assert!(reached(|report| report.counters.evicted > 0) > 0, "no seed ran out of memory");
    assert!(reached(|report| report.counters.stall_timeouts > 0) > 0, "no seed had a stall");
    assert!(reached(|report| report.counters.idle_timeouts > 0) > 0, "no seed was idle");
    assert!(reached(|report| report.counters.pipes > 1) > 0, "no seed changed ways and back");
    assert!(reached(|report| report.counters.splices > 100) > 0, "no seed spliced much");
    assert!(reached(|report| report.counters.bytes_sent > 10_000) > 0, "no seed moved much");
}

#[test]
fn planted_bugs_are_caught_for_what_they_are() {
    for (session, mutations) in
        [(Session::Native, &Mutation::ALL[..]), (Session::Copying, &Mutation::OF_COPYING[..])]
    {
        mutations.iter().for_each(|mutation| assert_caught(session, *mutation));
    }
}

fn assert_caught(session: Session, mutation: Mutation) {
    let is_symptom =
        |failure: &String| mutation.symptoms().iter().any(|symptom| failure.contains(symptom));
    let mut failures = Vec::new();
    for seed in 0..SEEDS {
        failures.extend(failure(session, seed, mutation));
        if failures.last().is_some_and(is_symptom) {
            return;
        }
    }
    panic!("{mutation:?} unnoticed in the {session:?} session: {failures:#?}");
}

/// Returns the failure of the run with this seed and planted bug, if it fails.
fn failure(session: Session, seed: u64, mutation: Mutation) -> Option<String> {
    let panic = catch_unwind(|| try_seed(session, seed, Some(mutation))).err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(
        text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()))
            .unwrap_or_default(),
    )
}
