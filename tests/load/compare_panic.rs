//! A comparison that panics leaves no server behind. Alone in its program, whose only child is the
//! server.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use ringback::load::study::compare::{Comparison, Event, ServerCommand, Step, compare};
use ringback::load::{Config, Target};
use rustix::process::{Pid, test_kill_process};

#[test]
fn a_panic_leaves_no_server_behind() {
    let server = format!("'{}' serve {{addr}}", env!("CARGO_BIN_EXE_ringback"));
    let server = ServerCommand::parse(&server).unwrap();
    let config = Config::new(Target::at("127.0.0.1:0".parse().unwrap())).with(|config| {
        config.connections = 1;
        // A panic waits for the generator's threads, and they for the end of the run.
        config.duration = Duration::from_secs(2);
    });
    let comparison = Comparison::new(server.clone(), server, config);
    let mut server = None;
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        compare(&comparison, &mut |event| {
            if matches!(event, Event::Step(Step { progress: Some(_), .. })) {
                server = Some(only_child());
                panic!("in the middle of a run");
            }
        })
    }));
    assert!(outcome.is_err());
    assert!(test_kill_process(server.unwrap()).is_err(), "the server is left");
}

fn only_child() -> Pid {
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap();
    let tasks = std::fs::read_dir(format!("/proc/{own}/task")).unwrap().flatten();
    let children = tasks.fold(children, |mut all, task| {
        all += &std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all
    });
    let child = children.split_whitespace().next().expect("a server runs").parse().unwrap();
    Pid::from_raw(child).unwrap()
}
