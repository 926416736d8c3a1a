//! The least that an echo costs the kernel: `floor CONNECTIONS SIZE SECONDS [CPU]`.
//!
//! Both ends of every connection in one thread, which asks each in turn and finds what it asks for:
//! nobody waits, is woken or asks which is ready. The ends do nearly the same work, so half of the
//! CPU is what an echo costs one of them: no server that makes a receive and a send of its own for
//! each message can cost much less, and what it costs more is its own.

use std::error::Error;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ringback_peers::{
    BUFFER_BYTES, Client, Connection, Echo, Fate, Load, Meter, exit_code, pin,
    raise_descriptor_limit, usage,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [connections, size, seconds] => exit_code(measure([connections, size, seconds])),
        [connections, size, seconds, cpu] => {
            exit_code(pin(cpu).and_then(|()| measure([connections, size, seconds])))
        }
        _ => usage("floor CONNECTIONS SIZE SECONDS [CPU]"),
    }
}

fn measure(load: [&str; 3]) -> Result<(), Box<dyn Error>> {
    let load = Load::parse(load)?;
    raise_descriptor_limit()?;
    let mut floor = Floor::connect(load)?;
    floor.run(Load::WARMUP)?;
    let meter = Meter::start(floor.messages);
    floor.run(load.duration)?;
    let (messages, seconds, cpu_ns) = meter.read(floor.messages)?;
    let (rate, side_ns) = (messages as f64 / seconds, cpu_ns / 2.0);
    println!(
        "{messages} messages, {rate:.0} messages/s, {side_ns:.0} ns of CPU an echo of one side"
    );
    Ok(())
}

struct Floor {
    clients: Vec<Client>,
    servers: Vec<Connection>,
    /// Sent as every message.
    message: Vec<u8>,
    buffer: Vec<u8>,
    /// Complete replies so far.
    messages: u64,
}

impl Floor {
    fn connect(load: Load) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let (mut clients, mut servers) = (Vec::new(), Vec::new());
        let (message, buffer) = (vec![b'x'; load.size], vec![0; BUFFER_BYTES]);
        for _ in 0..load.connections {
            let mut client = Client::new(TcpStream::connect(listener.local_addr()?)?)?;
            client.send_next(&message)?;
            clients.push(client);
            let (socket, _) = listener.accept()?;
            socket.set_nodelay(true)?;
            socket.set_nonblocking(true)?;
            servers.push(Connection::new(socket.into())?);
        }
        Ok(Self { clients, servers, message, buffer, messages: 0 })
    }

    /// Goes round for so long.
    fn run(&mut self, duration: Duration) -> Result<(), Box<dyn Error>> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            for server in &mut self.servers {
                if server.serve(&mut self.buffer) == Fate::Closed {
                    return Err("a connection ended".into());
                }
            }
            for client in &mut self.clients {
                if client.is_sending() {
                    client.flush(&self.message)?;
                }
                if client.receive(&mut self.buffer)? {
                    self.messages += 1;
                    client.send_next(&self.message)?;
                }
            }
        }
        Ok(())
    }
}
