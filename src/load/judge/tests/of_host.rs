//! The host's part: clocks, waits, steal, stalls.

use super::*;

#[test]
fn a_clock_that_is_not_synchronised_is_told_where_others_agreed_on_a_time() {
    let kept = |synchronised| Some(ClockState { synchronised, max_error_ns: 16_000 * MS });
    let part = || Config { part: Some(Part { index: 1, of: 3 }), ..open() };
    let timed = || Config { start_at: Some(SystemTime::UNIX_EPOCH), ..closed() };
    let unknown = "VALID ! whether this host's clock is synchronised cannot be known";
    for (config, clock, words) in [
        (open(), kept(false), CALM),
        (part(), kept(true), CALM),
        (part(), kept(false), "VALID ! this host's clock is not synchronised: its window may"),
        (timed(), kept(false), "VALID ! this host's clock is not synchronised: its window may"),
        (part(), None, unknown),
        (open(), None, CALM),
    ] {
        let said = said(&config, &at_once(), &Evidence { clock, ..calm() });
        assert!(said.starts_with(words), "{words}: {said}");
    }
}

/// A server on CPU 0 one of whose threads waited for this share of the window, beside a generator
/// on these CPUs.
fn waiting(share: f64, generator_cpus: &[usize]) -> Evidence {
    Evidence {
        server_waited: Some(waited(share, share)),
        generator_cpus: generator_cpus.to_vec(),
        ..calm()
    }
}

fn waited(share: f64, foreign_share: f64) -> Waited {
    let cpus = vec![0];
    Waited {
        share,
        foreign_share,
        longest_ns: 45 * MS,
        used_cpus: cpus.clone(),
        cpus,
        used_up: None,
    }
}

#[test]
fn a_host_that_kept_the_server_from_running_is_told_and_then_invalid() {
    let stolen = |ms: u64| Evidence {
        usage: Usage { stolen_in_use_ns: Some(ms * MS), ..usage(0.3, 0.01) },
        ..calm()
    };
    let throttled = |time_ms| {
        let quota = "0.1 CPUs (cpu.max)".to_owned();
        let used_up = Some(UsedUp { time_ns: time_ms * MS, times: 9, quota });
        let server_waited = Some(Waited { longest_ns: 90 * MS, used_up, ..waited(0.8, 0.8) });
        Evidence { server_waited, ..calm() }
    };
    let hidden =
        |why| Evidence { server: ServerView { threads: Err(why), cpus: vec![] }, ..calm() };
    for (evidence, words) in [
        (waiting(0.019, &[]), CALM),
        (waiting(0.03, &[]), "VALID ! the server waited 3"),
        (
            waiting(0.61, &[]),
            "INVALID the server waited 61 % of the time for CPU 0, once for 45.0 ms",
        ),
        (
            throttled(700),
            "of the time to be allowed to run, once for 90.0 ms or longer: its CPU quota, 0.1 CPUs \
             (cpu.max), was used up 9 times; raise it",
        ),
        // Others had most of that time.
        (throttled(10), "INVALID the server waited 80 % of the time for CPU 0"),
        (waiting(0.0, &[0]), "VALID ! the server and generator share CPU 0: "),
        (waiting(0.5, &[0]), "INVALID the server and generator share CPU 0: "),
        (stolen(19), CALM),
        (stolen(40), "VALID ! the hypervisor ran something"),
        (stolen(110), "for 11 % of the time (steal"),
        // Two ticks of a short window are chance.
        (Evidence { window: Window { end_ns: 100 * MS, ..WINDOW }, ..stolen(20) }, CALM),
        (hidden(Hidden::OtherHost), "namespace of this one; compare /proc/PID/schedstat there"),
        (hidden(Hidden::OtherUser), "run ringback-load as that user or as root"),
        (
            hidden(Hidden::NoAccount),
            "the kernel keeps no account of it in /proc/PID/task/TID/sched",
        ),
        (hidden(Hidden::Transient), "its work is done by processes or threads that come and go"),
    ] {
        let said = said(&open(), &at_once(), &evidence);
        assert!(said.contains(words), "{words}: {said}");
    }
    let of_generator = Evidence { generator_foreign_share: 0.13, ..waiting(0.05, &[0]) };
    let generator = judge(&open(), &at_once(), &of_generator);
    assert!(generator.reasons[0].contains(" and generator share CPU 0: "), "{generator:?}");
    assert!(generator.reasons[1].starts_with("the generator waited 13 %"), "{generator:?}");
    let both = judge(&open(), &at_once(), &waiting(0.5, &[0]));
    assert!(both.reasons[1].contains("waited 50 %") && both.warnings.is_empty(), "{both:?}");
}

#[test]
fn waits_for_the_generator_itself_are_a_warning_in_closed_loop() {
    let beside = |foreign_share| Evidence {
        server_waited: Some(waited(0.6, foreign_share)),
        ..waiting(0.0, &[0])
    };
    let alone = "waited 60 % of the time for CPU 0, 1 % for others than the generator, once for \
                 45.0 ms or longer: these are the latencies of both on the same CPUs";
    for (config, foreign_share, words) in [
        (closed(), 0.01, "VALID ! the server and generator share CPU 0: "),
        (closed(), 0.01, alone),
        (closed(), 0.09, "VALID ! the server and generator share CPU 0: "),
        (closed(), 0.11, "INVALID the server and generator share CPU 0: "),
        (
            closed(),
            0.11,
            "11 % for others than the generator, once for 45.0 ms or longer: these are \
                          the host's latencies; see what runs there",
        ),
        (closed(), 0.31, "the server waited 60 % of the time for CPU 0, once for 45.0 ms"),
        (open(), 0.01, "INVALID the server and generator share CPU 0: "),
        (open(), 0.01, alone),
    ] {
        let said = said(&config, &at_once(), &beside(foreign_share));
        assert!(said.contains(words), "{words}: {said}");
    }
}

#[test]
fn waits_are_not_of_both_where_each_has_cpus_of_its_own() {
    let apart = |share| Evidence { server_waited: Some(waited(share, 0.01)), ..calm() };
    let many = said(&closed(), &at_once(), &apart(0.12));
    let words = "waited 12 % of the time for CPU 0, 1 % for other processes, once for 45.0 ms or \
                 longer: these are the latencies of a CPU that has interrupts";
    assert!(many.starts_with("VALID ") && many.contains(words), "{many}");
    let few = said(&closed(), &at_once(), &apart(0.06));
    assert!(few.contains(CALM) && !few.contains("waited"), "it is with the CPU time: {few}");
    assert!(said(&open(), &at_once(), &apart(0.06)).contains("waited 6 % of the time"));
}

#[test]
fn a_server_is_where_its_workers_are() {
    let mut evidence = Evidence { generator_cpus: vec![0, 3], ..calm() };
    assert_eq!(evidence.shared_cpus(), [0], "by its masks, before the run");
    evidence.see_server(Some(Waited { used_cpus: vec![2, 3], ..waited(0.0, 0.0) }));
    assert_eq!(evidence.shared_cpus(), [3]);
    evidence.see_server(Some(Waited { used_cpus: vec![], ..waited(0.0, 0.0) }));
    assert_eq!(evidence.shared_cpus(), [3], "nobody worked");
}

#[test]
fn a_generator_that_foreign_processes_kept_from_running_is_not_valid() {
    let beside = |share, threads| Evidence {
        generator_foreign_share: share,
        usage: usage(0.2, 0.7),
        server: ServerView { threads, cpus: vec![0] },
        ..calm()
    };
    for (config, share, hidden, words) in [
        (
            closed(),
            0.74,
            Hidden::OtherHost,
            "INVALID the generator waited 74 % of the time for CPU",
        ),
        (
            open(),
            0.74,
            Hidden::ThisProcess,
            "INVALID the generator waited 74 % of the time for CPU",
        ),
        (closed(), 0.09, Hidden::ThisProcess, "VALID ! the generator's threads waited for a CPU"),
        (closed(), 0.74, Hidden::OtherUser, "VALID ! whether the server waited"),
    ] {
        let said = said(&config, &at_once(), &beside(share, Err(hidden)));
        assert!(said.starts_with(words), "{share}: {said}");
    }
}

#[test]
fn a_generator_that_stood_still_is_not_valid() {
    let by_quota =
        |time_ms| UsedUp { time_ns: time_ms * MS, times: 9, quota: "0.9 CPUs".to_owned() };
    for (ms, used_up, words) in [
        (15, None, CALM),
        (60, None, "VALID ! the generator stood still"),
        (310, None, "INVALID the generator stood still for 30"),
        // A quota that explains next to nothing of it hides nothing.
        (310, Some(by_quota(50)), "INVALID the generator stood still for 30"),
        (310, Some(by_quota(300)), "INVALID the generator was not allowed to run for 30"),
    ] {
        let mut recorder = at_once();
        recorder.latencies.hiccup.record_n(50_000, 1000 - ms).unwrap();
        recorder.latencies.hiccup.record_correct(ms * MS, MS).unwrap();
        let said = said(&closed(), &recorder, &Evidence { used_up, ..calm() });
        assert!(said.starts_with(words), "{ms}: {said}");
    }
}
