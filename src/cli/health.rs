//! The command line of `ringback health`: a probe for images without an HTTP client.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;

use super::endpoint::parse_admin_address;
use super::exit_codes::server as exit_codes;

/// Options of `ringback health`.
#[derive(Debug, Args)]
#[command(after_help = exit_codes::of_health())]
pub struct Health {
    /// The server's admin address [default: that of RINGBACK_ADMIN, else 127.0.0.1:9465]
    #[arg(value_name = "ADDR", value_parser = parse_admin_address)]
    address: Option<SocketAddr>,
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:9465";
/// How long an answer may take: probes are made every few seconds.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer that is read, in bytes; the server's has some hundred.
const MAX_ANSWER: usize = 8 << 10;

/// Why a server is not ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// The variable names no address.
    #[error("RINGBACK_ADMIN: {0}")]
    Variable(String),
    /// Nobody answers.
    #[error(
        "no answer from http://{address}/readyz: {source}; is the server started with --admin?"
    )]
    Unreachable {
        /// The address that was asked.
        address: SocketAddr,
        /// The kernel's error.
        source: io::Error,
    },
    /// It answers that it is not ready.
    #[error("not ready: {0}")]
    NotReady(String),
}

impl Health {
    /// Asks the server.
    ///
    /// # Errors
    ///
    /// When it is not ready, or nobody answers.
    pub fn ask(&self, variable: Option<OsString>) -> Result<(), HealthError> {
        let address = self.address(variable)?;
        let unreachable = |source| HealthError::Unreachable { address, source };
        let answer = get_ready(address).map_err(unreachable)?;
        let status = answer.strip_prefix("HTTP/1.").and_then(|head| head.split(' ').nth(1));
        let reason = answer.split("\r\n\r\n").nth(1).unwrap_or("it answers no HTTP").trim();
        if status == Some("200") { Ok(()) } else { Err(HealthError::NotReady(reason.to_owned())) }
    }

    fn address(&self, variable: Option<OsString>) -> Result<SocketAddr, HealthError> {
        if let Some(address) = self.address {
            return Ok(address);
        }
        let variable = variable.map(|value| value.to_string_lossy().into_owned());
        let text = variable.filter(|value| value != "off");
        parse_admin_address(text.as_deref().unwrap_or(DEFAULT_ADDRESS))
            .map_err(HealthError::Variable)
    }
}

fn get_ready(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    let deadline = Instant::now() + TIMEOUT;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let (mut answer, mut part) = (Vec::new(), [0; 1024]);
    loop {
        // None is left: a timeout of zero would be none at all.
        let left = deadline.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let length = stream.read(&mut part)?;
        answer.extend_from_slice(&part[..length]);
        if length == 0 || answer.len() >= MAX_ANSWER {
            break;
        }
        if Instant::now() >= deadline {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// The result of an answer.
    fn ask(answer: &'static str) -> Result<(), HealthError> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a visitor");
            let mut request = [0; 1024];
            let length = peer.read(&mut request).expect("a request");
            peer.write_all(answer.as_bytes()).expect("it is read");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let result = Health { address: Some(address) }.ask(None);
        let request = server.join().expect("it ends");
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\n"), "{request}");
        result
    }

    #[test]
    fn ready_is_200_and_all_else_is_not() {
        assert!(ask("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nready\n").is_ok());
        let error = ask("HTTP/1.1 503 Service Unavailable\r\n\r\ndraining\n").unwrap_err();
        assert_eq!(error.to_string(), "not ready: draining");
        let error = ask("SSH-2.0-OpenSSH\r\n").unwrap_err();
        assert_eq!(error.to_string(), "not ready: it answers no HTTP");
    }

    #[test]
    fn a_server_that_answers_a_byte_at_a_time_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let (mut peer, _) = listener.accept().expect("a visitor");
            while peer.write_all(b"H").is_ok() {
                thread::sleep(Duration::from_millis(100));
            }
        });
        let error = Health { address: Some(address) }.ask(None).unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
        server.join().expect("its visitor is gone");
    }

    #[test]
    fn the_variable_stands_in_for_the_argument() {
        let health = Health { address: None };
        let of = |value: Option<&str>| health.address(value.map(OsString::from));
        assert_eq!(of(None).expect("the default").port(), 9465);
        assert_eq!(of(Some("off")).expect("the default").port(), 9465);
        assert_eq!(of(Some("[::1]:7")).expect("it is one").port(), 7);
        assert!(of(Some("nonsense")).unwrap_err().to_string().starts_with("RINGBACK_ADMIN: "));
    }
}
