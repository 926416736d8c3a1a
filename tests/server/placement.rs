//! Which CPUs the workers of the `ringback` program run on.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use ringback::server::DriverKind;
use serde_json::Value;

use crate::support::host;
use crate::support::refusal::{RINGBACK, injected};
use crate::support::{Program, connect, exchange, tools};

fn can_refuse() -> bool {
    tools::runs(Command::new("strace").arg("-V"))
}

const RINGBACK_LOAD: &str = env!("CARGO_BIN_EXE_ringback-load");

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
fn workers_that_are_not_pinned_share_the_cpus_they_may_use() {
    let all = ringback::cpus::format_list(&ringback::cpus::allowed());
    let cpu = last_cpu().to_string();
    for (more, mask) in [(&[][..], &all), (&["--cpus", &cpu], &cpu)] {
        let arguments = ["serve", "127.0.0.1:0", "--workers", "2", "--pin", "off"];
        let program = Program::start(&[&arguments, more].concat(), 1);
        assert!(tells(&program, "2 workers on any CPU, "), "{:?}", program.lines);
        let expected = ["worker-0", "worker-1"].map(|worker| (worker.to_owned(), mask.clone()));
        assert_eq!(masks_of_workers(&program), BTreeMap::from(expected));
    }
}

#[test]
fn who_does_not_pin_needs_no_warning_that_it_is_forbidden() {
    if !can_refuse() {
        return;
    }
    let arguments = ["serve", "127.0.0.1:0", "--pin", "off"];
    let program =
        Program::spawn(&mut injected("sched_setaffinity", "error=EPERM", RINGBACK, &arguments), 1);
    assert!(!tells(&program, "sched_setaffinity"), "{:?}", program.lines);
}

#[test]
fn where_workers_cannot_be_kept_to_cpus_the_error_says_who_forbids_it() {
    if !can_refuse() {
        return;
    }
    let cpu = last_cpu().to_string();
    let arguments = ["serve", "127.0.0.1:0", "--pin", "off", "--cpus", &cpu];
    let output = injected("sched_setaffinity", "error=EPERM", RINGBACK, &arguments).output();
    let output = output.expect("strace runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    for words in ["seccomp filter", "sched_setaffinity: ", "; to fix it: ", "leave one of"] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

/// As under systemd's `SystemCallFilter=~@resources`, and in sandboxes without such a call.
#[test]
fn where_pinning_is_forbidden_workers_run_anywhere_and_one_line_says_why() {
    if !can_refuse() {
        return;
    }
    let cpu = last_cpu().to_string();
    for (answer, driver) in ["EPERM", "ENOSYS", "EPERM"].into_iter().zip(DriverKind::ALL) {
        let arguments = ["serve", "127.0.0.1:0", "--cpus", &cpu, "--driver", driver.name()];
        let program = Program::spawn(
            &mut injected("sched_setaffinity", &format!("error={answer}"), RINGBACK, &arguments),
            1,
        );
        assert_eq!(exchange(connect(program.addresses[0]), b"here"), b"here");
        assert!(tells(&program, "1 worker on any CPU, "), "{:?}", program.lines);
        let warnings = program.lines.iter().filter(|line| line.contains("sched_setaffinity"));
        assert_eq!(warnings.count(), 1, "{:?}", program.lines);
    }
}

#[test]
fn a_cpu_that_cannot_be_had_for_another_reason_is_an_error() {
    if !can_refuse() {
        return;
    }
    let cpu = last_cpu();
    let arguments = ["serve", "127.0.0.1:0", "--cpus", &cpu.to_string()];
    let output = injected("sched_setaffinity", "error=EINVAL", RINGBACK, &arguments).output();
    let output = output.expect("strace runs");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(69), "{text}");
    let cause = format!("worker 0 on CPU {cpu} cannot start: it cannot be pinned there: ");
    assert!(text.contains(&cause) && text.contains("outside the cpuset"), "{text}");
}

/// As on a kernel with more CPUs than the C library's masks.
#[test]
fn where_the_mask_cannot_be_read_workers_run_on_the_cpus_that_are_online() {
    if !can_refuse() {
        return;
    }
    let cpus = ringback::cpus::allowed();
    let last = last_cpu().to_string();
    for (options, workers) in
        [(&[][..], cpus.len()), (&["--cpus", &last][..], 1), (&["--workers", "3"][..], 3)]
    {
        let arguments = [&["serve", "127.0.0.1:0"][..], options].concat();
        let program = Program::spawn(
            &mut injected("sched_getaffinity", "error=EINVAL", RINGBACK, &arguments),
            1,
        );
        assert!(tells(&program, &format!("{workers} worker")), "{:?}", program.lines);
        assert_eq!(masks_of_workers(&program).len(), workers);
        assert_eq!(exchange(connect(program.addresses[0]), b"here"), b"here");
    }
}

#[test]
fn the_load_generator_measures_where_nothing_can_be_pinned_or_no_mask_be_read() {
    if !can_refuse() {
        return;
    }
    let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "--format", "json"];
    for (call, answer, is_pinned) in
        [("sched_setaffinity", "EPERM", false), ("sched_getaffinity", "EINVAL", true)]
    {
        let output = injected(call, &format!("error={answer}"), RINGBACK_LOAD, &short)
            .output()
            .expect("strace runs");
        // A busy machine may make it invalid; it is a report all the same.
        assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        for side in ["cpus", "server_cpus"] {
            let cpus = report["config"][side].as_array().expect("a list");
            assert_eq!(!cpus.is_empty(), is_pinned, "{side}: {report:#}");
        }
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(text.matches("sched_setaffinity: ").count(), usize::from(!is_pinned), "{text}");
    }
}

#[test]
fn servers_are_compared_where_nothing_can_be_pinned() {
    if !can_refuse() {
        return;
    }
    let server = format!("'{RINGBACK}' serve {{addr}}");
    let compare = ["compare", "--a", &server, "--b", &server, "--blocks", "1", "--quiet"];
    let short = ["-c", "2", "-d", "100ms", "--warmup", "0s", "--format", "json"];
    let arguments = [&compare[..], &short].concat();
    let output = injected("sched_setaffinity", "error=ENOSYS", RINGBACK_LOAD, &arguments).output();
    let output = output.expect("strace runs");
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(text.matches("warning: threads run on any CPU").count(), 1, "{text}");
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
        let message = format!(
            "CPU {outside} is not one this process may use: its affinity mask is {cpu}: use --cpus \
             {cpu}\n"
        );
        assert!(text.ends_with(&message), "{text}");
    }
}

/// A short run against a server: its report.
fn measured(program: &Program, more: &[&str]) -> (Option<i32>, Value) {
    let address = program.addresses[0].to_string();
    let short = ["-c", "4", "-d", "1s", "--warmup", "100ms", "--format", "json", "--quiet"];
    let output = Command::new(RINGBACK_LOAD)
        .args([&[&*address][..], &short, more].concat())
        .output()
        .expect("the program runs");
    let report = serde_json::from_slice(&output.stdout).expect("a report");
    (output.status.code(), report)
}

/// Reasons and warnings, in the order of the report.
fn remarks(report: &Value) -> Vec<&str> {
    ["reasons", "warnings"]
        .into_iter()
        .flat_map(|key| report["verdict"][key].as_array().expect("a list"))
        .map(|remark| remark.as_str().expect("words"))
        .collect()
}

#[test]
fn the_generator_leaves_a_running_server_its_cpus() {
    let cpus = ringback::cpus::allowed();
    let [first, others @ ..] = cpus.as_slice() else { panic!("there is a CPU") };
    if others.is_empty() {
        return;
    }
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let program = Program::start(&["serve", address, "--cpus", &first.to_string()], 1);
        let (_, report) = measured(&program, &["-r", "1k"]);
        assert_eq!(report["config"]["cpus"], serde_json::json!(others), "{address}");
        let remarks = remarks(&report);
        assert!(!remarks.iter().any(|remark| remark.contains(" share CPU")), "{remarks:?}");
        assert!(report["server_cpu"]["waited_share"].is_number(), "{report:#}");
    }
}

#[test]
fn cpus_that_server_and_generator_share_are_named_first() {
    let cpus = ringback::cpus::allowed();
    let list = ringback::cpus::format_list(&cpus);
    let program = Program::start(&["serve", "127.0.0.1:0", "--cpus", &list], 1);
    let (_, report) = measured(&program, &[]);
    let remarks = remarks(&report);
    let named = format!("the server (process {}) and generator share CPU", program.id());
    let place = remarks.iter().position(|remark| remark.starts_with(&named));
    let place = place.unwrap_or_else(|| panic!("{remarks:?}"));
    let (shared, _) = remarks[place][named.len()..].split_once(": ").expect("a list of CPUs");
    let shared = ringback::cpus::parse_list(shared.trim_start_matches("s").trim()).unwrap();
    // Workers to which the kernel gave no connection share nothing.
    assert!(shared.iter().all(|cpu| cpus.contains(cpu)), "{remarks:?}");
    let waits = remarks.iter().position(|remark| remark.contains(" waited "));
    assert!(waits.is_none_or(|waits| place < waits), "{remarks:?}");
}

/// Ends with the test.
struct BusyLoop(std::process::Child);

impl BusyLoop {
    fn on(cpu: usize) -> Self {
        let endless = "while :; do :; done";
        let mut command = Command::new("taskset");
        command.args(["-c", &cpu.to_string(), "sh", "-c", endless]);
        Self(command.spawn().expect("taskset is installed"))
    }
}

impl Drop for BusyLoop {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_server_that_waits_for_its_cpu_makes_a_run_invalid_in_every_command() {
    let cpu = ringback::cpus::allowed()[0];
    let arguments = ["serve", "127.0.0.1:0", "--cpus", &cpu.to_string()];
    let program = Program::start(&arguments, 1);
    let _busy: Vec<BusyLoop> = (0..3).map(|_| BusyLoop::on(cpu)).collect();
    let waited = format!("the server (process {}) waited ", program.id());
    let (code, report) = measured(&program, &[]);
    assert_eq!(code, Some(4), "{report:#}");
    assert!(remarks(&report).iter().any(|remark| remark.starts_with(&waited)), "{report:#}");
    assert!(report["server_cpu"]["waited_share"].as_f64().expect("it is known") > 0.1);
    assert!(report["server_cpu"]["longest_wait_ns"].as_u64().expect("it is known") > 0);

    let embedded = ["-c", "4", "-d", "1s", "--warmup", "100ms", "-v"];
    let output = Command::new(RINGBACK_LOAD).args(embedded).output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{text}");
    let is_named = |why: &String| why.starts_with("why the embedded server waited ");
    assert!(host::findings(&text).iter().any(is_named), "{text}");

    let server = format!("'{RINGBACK}' serve {{addr}}");
    let compare = ["compare", "--a", &server, "--b", &server, "--blocks", "1"];
    let output = Command::new(RINGBACK_LOAD).args([&compare[..], &embedded].concat()).output();
    let output = output.expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(host::flat(&text).contains(") waited "), "{text}");
}
