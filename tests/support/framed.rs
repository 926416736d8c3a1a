//! Frames as a client writes and reads them.

use ringback::protocol::{ErrorReply, FramedClient, Header, Kind, Reply};

/// A frame of any kind, valid but for what the kind may be.
pub fn frame(kind: Kind, sequence: u64, payload: &[u8]) -> Vec<u8> {
    [&Header::new(kind, sequence, payload).encode(), payload].concat()
}

/// The ERROR that a reply ends with, and how many bytes came before it.
pub fn final_error(reply: &[u8]) -> (usize, ErrorReply) {
    let starts = (0..reply.len()).filter(|&start| reply[start..].starts_with(b"RB\x01\x05"));
    for start in starts {
        let mut client = FramedClient::new(0);
        let rest = &reply[start..];
        if client.handle_input(rest) == Ok(rest.len())
            && let Some(Reply::Error(error)) = client.poll_reply()
        {
            return (start, error);
        }
    }
    panic!("no ERROR at the end of {} bytes: {:02x?}", reply.len(), &reply[..reply.len().min(300)])
}

/// Splits the GOAWAY from the end of a reply; returns what came before it, and its sequence.
pub fn before_goaway(reply: &[u8]) -> Option<(&[u8], u64)> {
    let (before, last) = reply.split_last_chunk::<20>()?;
    let mut client = FramedClient::new(0);
    client.handle_input(last).ok()?;
    match client.poll_reply()? {
        Reply::GoAway { last_sequence } => Some((before, last_sequence)),
        _ => None,
    }
}
