//! Many generators as one: parts of a run, through the arguments that a Job gives them.

use std::fs::{self, File};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::hlog::{assert_same, read};
use super::schema::assert_valid;
use super::support::{Directory, assert_fails, ringback_load};
use crate::support::Program;
use crate::support::host::{findings, flat};
use crate::support::http::get;
use crate::support::tools::{has_tool, is_root, runs};

const PARTS: usize = 3;
/// Messages that all parts are to send: 600/s for 1.3 s.
const MESSAGES: u64 = 780;
const LOAD: [&str; 8] = ["-r", "600", "-c", "7", "-d", "1s", "--warmup", "300ms"];
/// As the manifest of a Job has it, where the launcher sets the number.
const JOB: &str = "exec \"$0\" \"$@\" --part \"$JOB_COMPLETION_INDEX/3\" --hlog - -o /dev/null";
/// Times until the start: enough on a calm machine, and on one that is not.
const DELAYS: [Duration; 3] =
    [Duration::from_secs(2), Duration::from_secs(6), Duration::from_secs(20)];

fn seconds_since_1970(time: SystemTime) -> String {
    format!("{:.3}", time.duration_since(UNIX_EPOCH).unwrap().as_secs_f64())
}

/// A part as a container runs it. Its log is what it prints.
fn job(index: usize, target: &str, start_at: &str, more: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", JOB, env!("CARGO_BIN_EXE_ringback-load"), target, "--start-at", start_at]);
    command.args(LOAD).args(more).env("JOB_COMPLETION_INDEX", index.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The log of a part that ended.
fn save(directory: &Directory, name: &str, output: &Output) -> String {
    let file = directory.file(name);
    fs::write(&file, &output.stdout).unwrap();
    file
}

/// The logs of parts, by their numbers.
fn save_all(directory: &Directory, outputs: &[Output]) -> Vec<String> {
    let numbered = outputs.iter().enumerate();
    numbered.map(|(index, output)| save(directory, &format!("{index}.hlog"), output)).collect()
}

/// Runs parts until all of them began in time; what they left, and when they began.
fn run_parts(start: impl Fn(usize, &str) -> Child) -> (Vec<Output>, String) {
    for delay in DELAYS {
        let start_at = seconds_since_1970(SystemTime::now() + delay);
        let children: Vec<Child> = (0..PARTS).map(|index| start(index, &start_at)).collect();
        let outputs: Vec<Output> =
            children.into_iter().map(|child| child.wait_with_output().unwrap()).collect();
        let is_late =
            |output: &Output| String::from_utf8_lossy(&output.stderr).contains(" was missed by ");
        if !outputs.iter().any(is_late) {
            return (outputs, start_at);
        }
    }
    panic!("this machine does not connect within 20 s");
}

fn merge(logs: &[&str], more: &[&str]) -> (Option<i32>, Value) {
    let output = ringback_load(&[&["merge", "--format", "json"], logs, more].concat());
    let report = serde_json::from_slice(&output.stdout);
    let report = report.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code(), report)
}

/// The reasons of a verdict, which a busy machine adds its own to.
fn reasons(report: &Value) -> String {
    report["verdict"]["reasons"].to_string()
}

fn serve() -> Program {
    let arguments = ["serve", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--workers", "1"];
    Program::start(&arguments, 1)
}

/// A scrape of the server once nobody is connected, saved.
fn scrape(directory: &Directory, name: &str, program: &Program) -> String {
    let is_settled = |text: &str| text.contains("ringback_connections_active{worker=\"0\"} 0\n");
    let scrape = || {
        thread::sleep(Duration::from_millis(10));
        get(program.admin(), "/metrics").1
    };
    let mut scrapes = std::iter::repeat_with(scrape).take(1_000);
    let text = scrapes.find(|text| is_settled(text)).expect("nobody is connected in the end");
    let file = directory.file(name);
    fs::write(&file, text).unwrap();
    file
}

/// Asserts that parts were added up: sums are those of all, percentiles those of all values, by an
/// independent reader, and the verdict that of the worst.
fn assert_is_whole(directory: &Directory, logs: &[&str], hosts: &[String]) {
    let (code, report) = merge(logs, &[]);
    let verdict = &report["verdict"];
    let are_valid = report["runs"].as_array().unwrap().iter().all(|run| run["outcome"] == "passed");
    assert_eq!(code, Some(if are_valid { 0 } else { 4 }), "{report:#}");
    assert_eq!(verdict["valid"], are_valid, "{report:#}");
    let structural = ["missing", "there 2 times", "no result", "in common"];
    assert!(structural.iter().all(|words| !reasons(&report).contains(words)), "{report:#}");
    assert_eq!(report["totals"]["intended"], MESSAGES, "{report:#}");
    // Of seven connections three, two and two.
    assert_eq!(report["totals"]["connections"], 7, "{report:#}");
    let all: String = logs.iter().map(|log| fs::read_to_string(log).unwrap()).collect();
    let together = directory.file("together");
    fs::write(&together, all).unwrap();
    let read = read(&together);
    for tag in ["response", "service", "send_lag"] {
        assert_same(&read["tags"][tag], &report["latency_ns"][tag], tag);
    }
    assert_eq!(report["latency_ns"]["response"]["count"], 600, "{report:#}");
    let runs = report["runs"].as_array().unwrap();
    for (index, (run, host)) in runs.iter().zip(hosts).enumerate() {
        assert_eq!(run["part"], serde_json::json!({"index": index, "of": PARTS}), "{run}");
        assert_eq!(run["host"], *host, "{run}");
        assert!(run["clock"]["synchronised"].is_boolean() || run["clock"].is_null(), "{run}");
    }
    // What a collector puts into one file is the same.
    let (code_of_one, of_one) = merge(&[&together], &[]);
    assert_eq!((code_of_one, &of_one["latency_ns"]), (code, &report["latency_ns"]));
    let text = String::from_utf8(ringback_load(&[&["merge", "-v"], logs].concat()).stdout).unwrap();
    let text = flat(&text);
    assert!(text.contains(" Rate ") && text.contains(" msg/s ("), "{text}");
    for (index, host) in hosts.iter().enumerate() {
        assert!(text.contains(&format!("Part {index}/3 {host} ")), "{text}");
    }
}

fn own_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[test]
fn parts_are_one_run_and_the_server_agrees() {
    let directory = Directory::new();
    let program = serve();
    let target = program.addresses[0].to_string();
    let before = scrape(&directory, "before", &program);
    let (outputs, _) =
        run_parts(|index, start_at| job(index, &target, start_at, &[]).spawn().unwrap());
    let after = scrape(&directory, "after", &program);
    let logs = save_all(&directory, &outputs);
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    assert_is_whole(&directory, &logs, &[(); PARTS].map(|()| own_host()));

    let metrics = ["--server-metrics", &before, &after];
    let (_, report) = merge(&logs, &metrics);
    assert_valid("merge", &[&report.to_string()]);
    let (server, totals) = (&report["server"], &report["totals"]);
    assert_eq!(server["agrees"], true, "{report:#}");
    // A message of 64 bytes of each part came before the load.
    assert_eq!(server["preflight_bytes"], 3 * 64, "{report:#}");
    let number = |value: &Value| value.as_u64().unwrap();
    assert_eq!(number(&server["bytes_received"]), number(&totals["bytes_sent"]) + 3 * 64);
    assert_eq!(number(&server["bytes_sent"]), number(&totals["bytes_received"]) + 3 * 64);

    // Somebody else used the server as well, alone in its run.
    let alone = ["-c", "1", "-d", "50ms", "--warmup", "0s", "-r", "40", "--part", "0/1"];
    let output = ringback_load(&[&[&*target, "--format", "json"], &alone[..]].concat());
    assert!(matches!(output.status.code(), Some(0 | 4)), "{output:?}");
    assert_valid("run", &[&String::from_utf8(output.stdout).unwrap()]);
    let later = scrape(&directory, "later", &program);
    let (code, report) = merge(&logs, &["--server-metrics", &before, &later]);
    assert_eq!((code, &report["server"]["agrees"]), (Some(4), &Value::Bool(false)), "{report:#}");
    let words = format!(
        "the server received {} bytes where the generators sent {}, and sent ",
        // Two messages, and the one before them.
        number(&server["bytes_received"]) + 3 * 64,
        number(&server["bytes_received"]),
    );
    assert!(reasons(&report).replace(',', "").contains(&words.replace(',', "")), "{report:#}");
    for (scrapes, words) in [
        ([&after, &before], "are not of one process: it was started anew between"),
        ([&before, &directory.file("0.hlog")], "there is no ringback_received_bytes_total in it"),
    ] {
        let [one, other] = scrapes;
        let output = ringback_load(
            &[&["merge", "-v"], logs.as_slice(), &["--server-metrics", one, other]].concat(),
        );
        let said = [output.stdout, output.stderr].concat();
        let said = flat(&String::from_utf8(said).unwrap());
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn what_is_wrong_with_a_part_is_named() {
    let directory = Directory::new();
    let program = serve();
    let target = program.addresses[0].to_string();
    let killed = directory.file("killed.hlog");
    let (outputs, start_at) = run_parts(|index, start_at| {
        let mut part = job(index, &target, start_at, &[]);
        if index < 2 {
            return part.spawn().unwrap();
        }
        let mut child = part.stdout(File::create(&killed).unwrap()).spawn().unwrap();
        let has_begun = |_: &usize| {
            thread::sleep(Duration::from_millis(5));
            !fs::read(&killed).unwrap().is_empty()
        };
        assert!((0..6_000).find(has_begun).is_some(), "a stream has its note at once");
        child.kill().unwrap();
        child
    });
    let run = |name: &str, more: &[&str]| {
        let output = job(2, &target, &start_at, more).output().unwrap();
        (save(&directory, name, &output), output)
    };
    let [zero, one] =
        [0, 1].map(|index| save(&directory, &format!("{index}.hlog"), &outputs[index]));
    let (late, output) = run("late.hlog", &[]);
    assert_fails(&output, 1, ": the generator was started after it; nothing was measured; give");
    let copy = directory.file("copy.hlog");
    fs::copy(&one, &copy).unwrap();
    let missing = "part 2/3 is missing: no log of it was named";
    for (third, words) in [
        (&killed, "(killed.hlog) has no result: it was killed, or is not over"),
        (&late, "(late.hlog) measured nothing: the start at "),
        (&copy, "part 1/3 is there 2 times (1.hlog, copy.hlog): its messages count as often"),
        (&copy, missing),
    ] {
        let (code, report) = merge(&[&zero, &one, third], &[]);
        assert_eq!(code, Some(4), "{report:#}");
        assert_eq!(report["verdict"]["outcome"], "not_whole", "{report:#}");
        let said = reasons(&report).replace(&format!("{}/", directory.path().display()), "");
        assert!(said.contains(words), "{words}: {said}");
    }
    let (code, report) = merge(&[&one, &zero], &[]);
    assert!(code == Some(4) && reasons(&report).contains(missing), "{report:#}");
    assert_eq!(report["runs"][0]["part"]["index"], 0, "in their order: {report:#}");
    let text = ringback_load(&["merge", &zero, &one]).stdout;
    let found = findings(&String::from_utf8(text).unwrap());
    assert!(found[0].starts_with("why part 2/3 is missing: "), "{found:?}");

    // Not one run: a usage error, whatever else is wrong.
    let of_none = directory.file("none.hlog");
    ringback_load(&[&target, "-c", "1", "-d", "50ms", "--warmup", "0s", "--hlog", &of_none]);
    let (sized, _) = run("sized.hlog", &["-s", "128"]);
    let (paced, _) = run("paced.hlog", &["--arrival", "poisson"]);
    for (third, words) in [
        (&sized, "are not of one run: --size is 64 in the one and 128 in the other; give all"),
        (&paced, "--arrival is uniform in the one and poisson in the other"),
        (&of_none, "none.hlog of no part: merge the parts of a run on their own"),
    ] {
        let output = ringback_load(&["merge", &zero, &one, third]);
        assert_fails(&output, 2, words);
    }
}

/// A network of its own for one generator, with a cable to the network of the server's process, and
/// a name of its own for the host.
const NETWORK: &str = "set -e
server=$1 index=$2
shift 2
hostname generator-$index
ip link set lo up
ip link add cable type veth peer name cable-$index netns $server
ip address add 10.77.$index.2/24 dev cable
ip link set cable up
nsenter --net --target $server sh -c \
    \"ip address add 10.77.$index.1/24 dev cable-$index && ip link set cable-$index up\"
ip route add 10.77.9.1/32 via 10.77.$index.1
exec \"$@\"";

/// One address for all generators, whichever cable they come by.
const SERVER_NETWORK: &str = "set -e
ip link set lo up
ip address add 10.77.9.1/32 dev lo
exec \"$@\"";

fn in_network(script: &str, words: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "--uts", "sh", "-c", script, "sh"]).args(words);
    command
}

#[test]
fn parts_on_hosts_of_their_own_are_one_run() {
    let tools = ["unshare", "nsenter", "ip", "hostname"];
    if !is_root()
        || !tools.into_iter().all(has_tool)
        || !runs(&mut in_network("ip link add cable type veth peer name end && hostname host", &[]))
    {
        return;
    }
    let directory = Directory::new();
    let server = [env!("CARGO_BIN_EXE_ringback"), "serve", "--workers", "1", "10.77.9.1:0"];
    let program = Program::spawn(&mut in_network(SERVER_NETWORK, &server), 1);
    let target = program.addresses[0].to_string();
    let (outputs, _) = run_parts(|index, start_at| {
        let id = program.id().to_string();
        let mut part = in_network(NETWORK, &[&id, &index.to_string(), "sh", "-c", JOB]);
        part.args([env!("CARGO_BIN_EXE_ringback-load"), &target, "--start-at", start_at]);
        part.args(LOAD).env("JOB_COMPLETION_INDEX", index.to_string());
        part.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    });
    let logs = save_all(&directory, &outputs);
    let logs: Vec<&str> = logs.iter().map(String::as_str).collect();
    let hosts: Vec<String> = (0..PARTS).map(|index| format!("generator-{index}")).collect();
    assert_is_whole(&directory, &logs, &hosts);
}
