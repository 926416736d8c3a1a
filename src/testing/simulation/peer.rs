//! Clients of the simulation: what they send, how they behave, and what they must get back.

use std::collections::VecDeque;

use super::Size;
use crate::protocol::{ErrorCode, FramedClient, Reply, Request};
use crate::testing::rng::Rng;

/// One client, from connect to the end of its connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// Everything it will ever send.
    script: Vec<u8>,
    /// Bytes of the script that were handed to the network.
    sent: usize,
    behaviour: Behaviour,
    verifier: Verifier,
    /// Bytes that the server sent and it has not read.
    pub(super) inbox: VecDeque<u8>,
    /// Bytes that fit into `inbox`.
    pub(super) inbox_capacity: usize,
    read: usize,
    pub(super) fin_received: bool,
    pub(super) is_reset: bool,
}

/// Behaviour of a client besides sending and reading, each part decided when it is made.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    /// It neither sends nor reads while the world is hostile, once this many bytes were sent.
    stalls_after: Option<usize>,
    /// It resets the connection once this many bytes were sent.
    resets_after: Option<usize>,
    reads_slowly: bool,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a simulation has a few peers")]
enum Verifier {
    /// The stream comes back as it was sent.
    Raw,
    /// Every frame is answered, up to the first that is broken on purpose.
    Framed { client: FramedClient, broken: bool, ended_by_error: bool },
}

impl Peer {
    pub(super) fn new(rng: &mut Rng, size: Size, is_framed: bool, may_reset: bool) -> Self {
        let (script, verifier) =
            if is_framed { framed_script(rng, size) } else { raw_script(rng, size) };
        let length = script.len();
        let sometimes =
            |rng: &mut Rng, percent| rng.chance(percent).then(|| rng.between(0, length));
        let behaviour = Behaviour {
            stalls_after: sometimes(rng, 15),
            resets_after: sometimes(rng, if may_reset { 15 } else { 0 }),
            reads_slowly: rng.chance(20),
        };
        Self {
            script,
            sent: 0,
            behaviour,
            verifier,
            inbox: VecDeque::new(),
            inbox_capacity: rng.between(1, 400),
            read: 0,
            fin_received: false,
            is_reset: false,
        }
    }

    /// Bytes it sends now, at most `room`.
    pub(super) fn send(&mut self, rng: &mut Rng, room: usize, calm: bool) -> &[u8] {
        if self.is_stalled(calm) || self.is_reset {
            return &[];
        }
        let length = room.min(self.script.len() - self.sent).min(rng.between(1, 600));
        let start = self.sent;
        self.sent += length;
        &self.script[start..self.sent]
    }

    /// Returns whether it has sent everything, and so its FIN.
    pub(super) fn has_finished(&self) -> bool {
        self.sent == self.script.len()
    }

    /// Returns whether it sends what no frame begins with: it is refused.
    pub(super) fn is_broken(&self) -> bool {
        matches!(self.verifier, Verifier::Framed { broken: true, .. })
    }

    /// Returns whether it resets the connection now.
    pub(super) fn resets(&self) -> bool {
        !self.is_reset && self.behaviour.resets_after.is_some_and(|limit| self.sent >= limit)
    }

    /// Reads some of what arrived and checks it.
    pub(super) fn read(&mut self, rng: &mut Rng, calm: bool) -> Result<(), String> {
        let slow = self.behaviour.reads_slowly && !calm && rng.chance(90);
        if slow || self.is_stalled(calm) || self.inbox.is_empty() {
            return Ok(());
        }
        let length = rng.between(1, self.inbox.len());
        self.take(length)
    }

    /// Reads the rest and checks that nothing is missing, now that the connection is over.
    ///
    /// `served` means that the server had the time to answer everything.
    pub(super) fn end(&mut self, served: bool) -> Result<(), String> {
        self.take(self.inbox.len())?;
        if self.is_reset || !served {
            return Ok(());
        }
        if !self.fin_received {
            return Err("never got the server's FIN".to_owned());
        }
        match &self.verifier {
            Verifier::Raw if self.read < self.script.len() => {
                Err(format!("{} of {} bytes came back", self.read, self.script.len()))
            }
            Verifier::Framed { broken: true, ended_by_error: false, .. } => {
                Err("a broken frame was not answered with an ERROR".to_owned())
            }
            Verifier::Framed { client, broken: false, .. } if client.in_flight() > 0 => {
                Err(format!("{} frames were not answered", client.in_flight()))
            }
            _ => Ok(()),
        }
    }

    fn is_stalled(&self, calm: bool) -> bool {
        !calm && self.behaviour.stalls_after.is_some_and(|limit| self.sent >= limit)
    }

    fn take(&mut self, length: usize) -> Result<(), String> {
        let bytes: Vec<u8> = self.inbox.drain(..length).collect();
        self.read += length;
        self.verify(&bytes)
    }

    fn verify(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        match &mut self.verifier {
            Verifier::Raw => {
                let end = self.read;
                let start = end - bytes.len();
                if end > self.sent || self.script[start..end] != *bytes {
                    return Err(format!("bytes {start}..{end} differ from what was sent"));
                }
            }
            Verifier::Framed { client, broken, ended_by_error } => {
                while !bytes.is_empty() {
                    if *ended_by_error {
                        return Err("bytes after an ERROR".to_owned());
                    }
                    let taken = client.handle_input(bytes).map_err(|error| error.to_string())?;
                    bytes = &bytes[taken..];
                    match client.poll_reply() {
                        Some(Reply::Error(_)) if *broken => *ended_by_error = true,
                        // No room or time for it: only seeds with scarcity bring this about.
                        Some(Reply::Error(error))
                            if matches!(
                                error.code(),
                                Some(ErrorCode::Busy | ErrorCode::FrameTimeout)
                            ) =>
                        {
                            *ended_by_error = true;
                        }
                        Some(Reply::Error(error)) => return Err(error.text()),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

fn raw_script(rng: &mut Rng, size: Size) -> (Vec<u8>, Verifier) {
    let longest = *match size {
        Size::Small => rng.pick(&[0, 10, 300, 2_000]),
        Size::Large => rng.pick(&[0, 10, 300, 3_000, 20_000]),
    };
    let length = rng.between(0, longest);
    (random_bytes(rng, length), Verifier::Raw)
}

fn framed_script(rng: &mut Rng, size: Size) -> (Vec<u8>, Verifier) {
    let frames = rng.between(0, if size == Size::Small { 6 } else { 40 });
    let mut client = FramedClient::new(frames);
    let mut script = Vec::new();
    for sequence in 0..frames as u64 {
        let (request, longest) =
            if rng.chance(25) { (Request::Ping, 64) } else { (Request::Echo, 900) };
        let length = rng.between(0, longest);
        let payload = random_bytes(rng, length);
        let header = client.request(request, sequence, &payload).expect("within the limits");
        script.extend_from_slice(&header);
        script.extend_from_slice(&payload);
    }
    let broken = rng.chance(25);
    if broken {
        // The first byte can never begin a frame.
        script.push(0);
        let length = rng.between(19, 2_000);
        script.extend(random_bytes(rng, length));
    }
    (script, Verifier::Framed { client, broken, ended_by_error: false })
}

fn random_bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.byte()).collect()
}
