//! Which driver serves, and the proof: a server that starts, echoes and ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use crate::doctor::check::Check;
use crate::server::{Choice, Config, Server};

pub(crate) fn driver(choice: &Choice) -> Check {
    const NAME: &str = "driver";
    let found = format!("--driver auto takes {}", choice.driver);
    match &choice.obstacle {
        None => Check::ok(NAME, found),
        Some(refusal) => Check::warn(NAME, format!("{found}: {}", refusal.cause), &refusal.fix),
    }
}

/// Runs a server of this configuration, but on a free port of the loopback interface.
pub(crate) fn try_out(config: &Config) -> Check {
    const NAME: &str = "server";
    let loopback = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
    match echo(&Config { addresses: loopback, ..config.clone() }) {
        Ok(()) => Check::ok(NAME, "starts, echoes, ends"),
        Err(reason) => Check::fail(
            NAME,
            reason,
            "mend what the other lines name, then try: ringback serve 127.0.0.1:0",
        ),
    }
}

fn echo(config: &Config) -> Result<(), String> {
    const MESSAGE: &[u8] = b"Hello, world";
    const READ_TIMEOUT: Option<Duration> = Some(Duration::from_secs(5));
    let server = Server::start(config).map_err(|error| error.to_string())?;
    let mut reply = [0; MESSAGE.len()];
    TcpStream::connect(server.local_addresses()[0])
        .and_then(|mut client| {
            client.set_read_timeout(READ_TIMEOUT)?;
            client.write_all(MESSAGE)?;
            client.read_exact(&mut reply)
        })
        .map_err(|error| format!("it starts, but does not echo: {error}"))?;
    if reply == MESSAGE { Ok(()) } else { Err("it echoes other bytes".to_owned()) }
}
