//! Servers that start a process or a thread for each connection, which does the work.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::{assert_all_came_back, measure, short};
use crate::tools::has_tool;

const FORKING_SERVER: &str = "
import os, signal, socket
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
listener = socket.create_server(('127.0.0.1', 0), backlog=128)
print(listener.getsockname()[1], flush=True)
while True:
    connection, _ = listener.accept()
    if os.fork() == 0:
        listener.close()
        while data := connection.recv(65536):
            connection.sendall(data)
        os._exit(0)
    connection.close()
";

const THREADED_SERVER: &str = "
import socket, threading
listener = socket.create_server(('127.0.0.1', 0), backlog=128)
print(listener.getsockname()[1], flush=True)
def serve(connection):
    with connection:
        while data := connection.recv(65536):
            for _ in range(2000): pass
            connection.sendall(data)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve, args=[connection], daemon=True).start()
";

struct Python(Child);

impl Python {
    fn start(program: &str) -> (Self, SocketAddr) {
        let mut command = Command::new("python3");
        let mut child = command.args(["-c", program]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap();
        (Self(child), (Ipv4Addr::LOCALHOST, port).into())
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn the_work_of_children_is_the_servers() {
    if !has_tool("python3") {
        return;
    }
    let (_server, address) = Python::start(FORKING_SERVER);
    let report = measure(&short(address));
    assert_all_came_back(&report);
    let server_cpu = report.server_cpu.unwrap();
    assert!(server_cpu.cpu_ns_per_message > 0.0, "{server_cpu:?}");
}

#[test]
fn children_that_come_and_go_leave_no_account() {
    if !has_tool("python3") {
        return;
    }
    let (_server, address) = Python::start(FORKING_SERVER);
    let report = measure(&short(address).with(|config| config.reconnect = Some(1)));
    assert!(report.server_cpu.is_none(), "{:?}", report.server_cpu);
    let warnings = &report.verdict.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("cannot be known")), "{warnings:?}");
}

/// Their CPU time is the process's; how long they waited for a CPU went with them.
#[test]
fn threads_that_come_and_go_are_not_said_to_have_waited_for_nothing() {
    if !has_tool("python3") {
        return;
    }
    let (_server, address) = Python::start(THREADED_SERVER);
    let config = short(address).with(|config| {
        config.reconnect = Some(1);
        config.duration = Duration::from_secs(2);
    });
    let report = measure(&config);
    let server_cpu = report.server_cpu.unwrap();
    assert!(server_cpu.cpu_ns_per_message > 0.0 && server_cpu.waited_share.is_none());
    let warnings = &report.verdict.warnings;
    assert!(warnings.iter().any(|warning| warning.contains("threads that come and go")));
}
