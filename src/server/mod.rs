//! Temporary stand-in for the embedded server: a thread per connection, raw only. Thrown away at
//! the merge.
#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};

use crate::protocol;

pub struct Config {
    pub addresses: Vec<SocketAddr>,
    pub protocol: protocol::Config,
    pub cpus: Vec<usize>,
}

impl Config {
    pub fn new(addresses: Vec<SocketAddr>) -> Self {
        Self { addresses, protocol: protocol::Config::Raw, cpus: Vec::new() }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StartError(std::io::Error);

pub struct Summary;

pub struct Server {
    addresses: Vec<SocketAddr>,
    threads: Arc<Mutex<Vec<i32>>>,
}

impl Server {
    #[allow(clippy::needless_pass_by_value)]
    pub fn start(config: Config) -> Result<Self, StartError> {
        let listener = TcpListener::bind(config.addresses[0]).map_err(StartError)?;
        let addresses = vec![listener.local_addr().map_err(StartError)?];
        let threads = Arc::new(Mutex::new(Vec::new()));
        let cpu = config.cpus[0];
        let ids = threads.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let (mut socket, ids) = (socket.unwrap(), ids.clone());
                std::thread::spawn(move || {
                    ids.lock().unwrap().push(rustix::thread::gettid().as_raw_nonzero().get());
                    let mut set = rustix::thread::CpuSet::new();
                    set.set(cpu);
                    rustix::thread::sched_setaffinity(None, &set).unwrap();
                    socket.set_nodelay(true).unwrap();
                    let mut buffer = vec![0; 65536];
                    while let Ok(n @ 1..) = socket.read(&mut buffer) {
                        if socket.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Ok(Self { addresses, threads })
    }
    pub fn local_addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
    pub fn thread_ids(&self) -> Vec<i32> {
        self.threads.lock().unwrap().clone()
    }
    pub fn stop(self) -> Summary {
        Summary
    }
}
