//! Which CPUs the workers of the `ringback` program run on.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use support::{Program, connect, exchange};

/// `ringback` where it may use this CPU only.
fn confined_to(cpu: usize, arguments: &[&str]) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", &cpu.to_string(), env!("CARGO_BIN_EXE_ringback")]).args(arguments);
    command
}

fn last_cpu() -> usize {
    *ringback::cpus::allowed().last().expect("this test runs somewhere")
}

fn tells(program: &Program, beginning: &str) -> bool {
    program.lines.iter().any(|line| line.starts_with(beginning))
}

/// The CPUs that the kernel lets each worker thread use, by the thread's name.
fn masks_of_workers(program: &Program) -> BTreeMap<String, String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", program.id())).expect("the program runs");
    tasks
        .flatten()
        .filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let field = |name| {
                status.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
            };
            Some((field("Name:")?, field("Cpus_allowed_list:")?))
        })
        .filter(|(name, _)| name.starts_with("worker-"))
        .collect()
}

#[test]
fn by_default_there_is_a_pinned_worker_on_every_cpu_of_the_mask() {
    let cpu = last_cpu();
    let program = Program::spawn(&mut confined_to(cpu, &["serve", "127.0.0.1:0"]), 1);
    assert!(tells(&program, &format!("1 worker on CPU {cpu}, ")), "{:?}", program.lines);
    let expected = BTreeMap::from([("worker-0".to_owned(), cpu.to_string())]);
    assert_eq!(masks_of_workers(&program), expected);
    assert_eq!(exchange(connect(program.addresses[0]), b"here"), b"here");
}

#[test]
fn workers_take_the_listed_cpus_in_turn() {
    let cpus = ringback::cpus::allowed();
    let list = ringback::cpus::format_list(&cpus);
    let count = cpus.len() + 1;
    let arguments = ["serve", "127.0.0.1:0", "--cpus", &list, "--workers", &count.to_string()];
    let program = Program::start(&arguments, 1);
    let noun = if cpus.len() == 1 { "CPU" } else { "CPUs" };
    let expected = format!("{count} workers on {noun} {list}, ");
    assert!(tells(&program, &expected), "{:?}", program.lines);
    let expected = (0..count)
        .map(|worker| (format!("worker-{worker}"), cpus[worker % cpus.len()].to_string()))
        .collect();
    assert_eq!(masks_of_workers(&program), expected);
}

#[test]
fn a_cpu_outside_the_mask_is_a_usage_error_that_shows_the_mask() {
    let cpu = last_cpu();
    // Not in the mask, whether it exists or not.
    let outside = if cpu == 0 { 1 } else { cpu - 1 };
    let list = format!("{outside},{cpu}");
    for arguments in [&["serve", "--cpus", &list][..], &["serve", "--check", "--cpus", &list]] {
        let output = confined_to(cpu, arguments).output().expect("taskset is installed");
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{text}");
        let cause =
            format!("CPU {outside} is not one this process may use: its affinity mask is {cpu}\n");
        assert!(text.ends_with(&cause), "{text}");
    }
}
