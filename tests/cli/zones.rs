//! Link-local addresses, which name their interface: between two ends of a cable in a network
//! namespace of their own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

use crate::support::tools::{has_tool, is_root, runs};

/// A cable whose ends have hyphens in their names, as bridges and virtual machines have. Without
/// duplicate address detection their addresses can be used at once.
const NETWORK: &str = "set -e
ip link set lo up
ip link add end-a type veth peer name end-b
for end in a b; do
    ip link set end-$end addrgenmode none
    ip link set end-$end up
done
ip address add fe80::a/64 dev end-a nodad
ip address add fe80::b/64 dev end-b nodad
exec \"$@\"";

fn in_new_network(program: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", NETWORK, "sh"]).args(program);
    command
}

/// A server in a network of its own, killed when dropped.
struct Host {
    server: Child,
    listening: String,
}

impl Host {
    /// A server on this address; `None` where there can be no such network.
    fn serve(address: &str) -> Option<Self> {
        let is_possible = is_root()
            && has_tool("unshare")
            && has_tool("nsenter")
            && has_tool("ip")
            && runs(&mut in_new_network(&["true"]));
        is_possible.then(|| {
            let program = [env!("CARGO_BIN_EXE_ringback"), "serve", "--workers", "1", address];
            let mut command = in_new_network(&program);
            let mut server = command.stderr(Stdio::piped()).spawn().expect("unshare runs");
            let lines = BufReader::new(server.stderr.take().expect("it is piped")).lines();
            let lines = lines.map(|line| line.expect("lines are UTF-8"));
            let listening = lines
                .filter_map(|line| line.strip_prefix("listening on ").map(str::to_owned))
                .next()
                .expect("the server listens");
            Self { server, listening }
        })
    }

    /// A short measurement of a target from inside the network.
    fn measure(&self, target: &str, options: &[&str]) -> Output {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.server.id().to_string()]);
        command.args([env!("CARGO_BIN_EXE_ringback-load"), target, "-d", "100ms", "--warmup"]);
        command.args(["0s", "-c", "2", "--format", "json"]).args(options);
        command.output().expect("nsenter runs")
    }

    /// A report of such a run.
    fn report(&self, target: &str, options: &[&str]) -> serde_json::Value {
        let output = self.measure(target, options);
        serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{target}: {}", String::from_utf8_lossy(&output.stderr)))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn server_and_generator_meet_on_an_interface_that_is_named() {
    let Some(host) = Host::serve("fe80::a%end-a:0") else { return };
    let port = host.listening.strip_prefix("[fe80::a%end-a]:").expect("the zone's name is shown");
    for target in [format!("[fe80::a%end-a]:{port}"), format!("fe80::a%end-a:{port}")] {
        let report = host.report(&target, &["--source", "fe80::a%end-a"]);
        assert_eq!(report["target"]["name"], target);
        assert_eq!(report["target"]["address"], host.listening);
        assert_eq!(report["config"]["sources"], serde_json::json!(["fe80::a%end-a"]));
        assert!(report["totals"]["received"].as_u64().unwrap() > 0, "{report}");
        // It is on this host, so its threads are seen.
        assert!(report["server_cpu"]["cpu_ns_per_message"].as_f64().is_some(), "{report}");
    }
}

#[test]
fn an_address_on_another_interface_is_another() {
    let Some(host) = Host::serve("[fe80::a%end-a]:0") else { return };
    let port = host.listening.rsplit(':').next().unwrap();
    for (source, cause) in [
        ("fe80::a%end-b", "cannot connect from fe80::a%end-b"),
        ("fe80::a", "write fe80::a%NAME; name one of this host's: "),
        ("fe80::a%end-c", "no interface is called \"end-c\"; name one of this host's: "),
    ] {
        let target = format!("[fe80::a%end-a]:{port}");
        let output = host.measure(&target, &["--source", source]);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{source}: {text}");
        assert!(text.contains(cause), "{source}: {text}");
    }
    let output = host.measure(&format!("[fe80::a%end-c]:{port}"), &[]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("no interface is called \"end-c\"; name one of"), "{text}");
    assert!(text.contains("end-a") && text.contains("end-b"), "all are named: {text}");
}
