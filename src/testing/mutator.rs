//! Mutations of a fuzzer's input that leave its frames valid.
//!
//! A frame of which one byte changed is refused for its checksum, whatever the byte: what comes
//! after the checksum a fuzzer would never see. So the checksums are made right after a mutation,
//! most of the time, and some mutations are of whole frames.

use std::ops::Range;

use super::fuzz;
use super::rng::Rng;
use super::wire::{Fields, HEADER, frame};

/// Mutates `data[..size]` in place to at most `max_size` bytes; returns how many. `mutate_bytes` is
/// the fuzzer's own mutation of that form.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    mutate_bytes: impl FnOnce(&mut [u8], usize, usize) -> usize,
) -> usize {
    let mut rng = Rng::new(seed.into(), &[]);
    let mut size = size;
    let is_of_frames = rng.chance(30);
    if is_of_frames && let Some(start) = fuzz::start_of_stream(&data[..size]) {
        let mut stream = data[start..size].to_vec();
        mutate_frames(&mut rng, &mut stream);
        stream.truncate(max_size.saturating_sub(start));
        size = start + stream.len();
        data[start..size].copy_from_slice(&stream);
    } else {
        size = mutate_bytes(data, size, max_size);
    }
    if let Some(start) = fuzz::start_of_stream(&data[..size])
        && rng.chance(95)
    {
        repair_checksums(&mut data[start..size]);
    }
    size
}

/// Inserts, removes or repeats one frame.
fn mutate_frames(rng: &mut Rng, stream: &mut Vec<u8>) {
    let frames = frames(stream);
    let place = rng.between(0, frames.len());
    let at = frames.get(place).map_or(stream.len(), |frame| frame.start);
    match rng.below(4) {
        0 if !frames.is_empty() => {
            stream.drain(rng.pick(&frames).clone());
        }
        1 if !frames.is_empty() => {
            let copy = stream[rng.pick(&frames).clone()].to_vec();
            stream.splice(at..at, copy);
        }
        _ => {
            stream.splice(at..at, random_frame(rng, place as u64 + 1));
        }
    }
}

/// A frame of any kind with a length at some limit. Its sequence is mostly its place, and so are the
/// bytes of its payload: that makes it the answer to a request of [`fuzz::client`].
fn random_frame(rng: &mut Rng, place: u64) -> Vec<u8> {
    let kind = rng.between(1, 5) as u8;
    let sequence = if rng.chance(80) { place } else { rng.below(4) as u64 };
    let length = *rng.pick(&[0, 0, 1, 2, 3, 8, 63, 64, 65, 100, 101, 202, 203]);
    frame(kind, sequence, &vec![sequence as u8; length])
}

/// Where the frames lie that are whole, up to the first bytes that are not a frame.
fn frames(stream: &[u8]) -> Vec<Range<usize>> {
    let mut frames = Vec::new();
    let mut start = 0;
    while let Some(fields) = Fields::read(&stream[start..]) {
        let end = start + HEADER + fields.length as usize;
        if fields.magic != *b"RB" || end > stream.len() {
            break;
        }
        frames.push(start..end);
        start = end;
    }
    frames
}

/// Gives every frame that lies whole in `stream` its right checksum.
fn repair_checksums(stream: &mut [u8]) {
    for frame in frames(stream) {
        let (header, payload) = stream[frame].split_at_mut(HEADER);
        let fields = Fields::read(header).expect("it is as long as a header");
        header[16..].copy_from_slice(&fields.right_checksum(payload).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wire::ECHO;

    const MAX_SIZE: usize = 200;
    /// Flags, and no operation.
    const PROGRAM: [u8; 2] = [0, 0];

    fn mutated(seed: u32, input: &[u8], mutate_bytes: fn(&mut [u8])) -> Vec<u8> {
        let mut data = vec![0; MAX_SIZE];
        data[..input.len()].copy_from_slice(input);
        let size = mutate(&mut data, input.len(), MAX_SIZE, seed, |data, size, _| {
            mutate_bytes(&mut data[..size]);
            size
        });
        data.truncate(size);
        data
    }

    fn is_valid(stream: &[u8], frame: Range<usize>) -> bool {
        let (header, payload) = stream[frame].split_at(HEADER);
        let fields = Fields::read(header).expect("it is as long as a header");
        fields.checksum == fields.right_checksum(payload)
    }

    #[test]
    fn frames_stay_valid_most_of_the_time_whatever_changes_in_them() {
        let input = [&PROGRAM[..], &frame(ECHO, 1, b"abc"), &frame(ECHO, 2, b"")].concat();
        let change_a_payload = |data: &mut [u8]| data[PROGRAM.len() + HEADER] ^= 1;
        let outcomes = (0..1000).map(|seed| mutated(seed, &input, change_a_payload));
        let are_valid = |data: &Vec<u8>| {
            let stream = &data[PROGRAM.len()..];
            frames(stream).into_iter().all(|frame| is_valid(stream, frame))
        };
        let (valid, broken): (Vec<_>, Vec<_>) = outcomes.partition(are_valid);
        assert!(valid.len() > 900 && !broken.is_empty(), "{} are valid", valid.len());
        let counts: Vec<_> =
            valid.iter().map(|data| frames(&data[PROGRAM.len()..]).len()).collect();
        for count in [1, 2, 3] {
            assert!(counts.contains(&count), "no outcome has {count} frames");
        }
    }

    #[test]
    fn what_is_not_a_frame_stays_as_it_is() {
        let mut stream = frame(ECHO, 7, b"abc");
        stream[HEADER] = b'x';
        let garbage = b"not a frame, but longer than a header";
        stream.extend(garbage);
        repair_checksums(&mut stream);
        assert_eq!(stream, [&frame(ECHO, 7, b"xbc"), &garbage[..]].concat());
    }

    #[test]
    fn nothing_grows_beyond_its_limit() {
        let mut input = PROGRAM.to_vec();
        (0..9).for_each(|sequence| input.extend(frame(ECHO, sequence, b"")));
        for seed in 0..1000 {
            assert!(mutated(seed, &input, |_| {}).len() <= MAX_SIZE);
        }
    }
}
