//! The sans-IO client over a socket of the standard library: one verified ECHO.
//!
//! ```text
//! ringback serve --protocol framed
//! cargo run --example framed_client 127.0.0.1:65432 "Hello, world"
//! ```

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;

use ringback::protocol::{FramedClient, Reply, Request};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or("127.0.0.1:65432".to_owned());
    let message = arguments.next().unwrap_or("Hello, world".to_owned());

    let mut client = FramedClient::new(1);
    let header = client.request(Request::Echo, 1, message.as_bytes())?;
    let mut socket = TcpStream::connect(address)?;
    socket.write_all(&header)?;
    socket.write_all(message.as_bytes())?;

    let mut buffer = [0; 4096];
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Err("the server closed the connection".into());
        }
        let mut received = &buffer[..length];
        while !received.is_empty() {
            let taken = client.handle_input(received)?;
            received = &received[taken..];
            match client.poll_reply() {
                Some(Reply::Echo { sequence }) => {
                    let answer = format!("echo {sequence}: {message}\n");
                    return Ok(std::io::stdout().write_all(answer.as_bytes())?);
                }
                Some(reply) => return Err(format!("not an echo: {reply:?}").into()),
                None => {}
            }
        }
    }
}
