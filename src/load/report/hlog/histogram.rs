//! Decodes a histogram as HdrHistogram encodes it: V2, compressed or not, in Base64.
//!
//! Two fields of the header are not looked at, since they shift or scale nothing in a histogram of
//! whole numbers and some writers (Go, JavaScript) fill them with what other readers do not accept:
//! the offset of the counts, which are always written from the lowest value up, and the ratio of a
//! DoubleHistogram. Counts may lie beyond the highest value of the header: writers that grow do not
//! all keep it.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;

use super::read::Problem;

/// Header of a histogram in V2-deflate: cookie, and length of what is compressed.
const DEFLATE_HEADER: usize = 8;
/// Cookies, without the four bits that say how wide a count is.
const V2_COOKIE: u32 = 0x1c84_9303;
const V2_DEFLATE_COOKIE: u32 = 0x1c84_9304;
const DOUBLE_COOKIE: u32 = 0x0c72_120e;
const DOUBLE_DEFLATE_COOKIE: u32 = 0x0c72_120f;
const WIDTH_BITS: u32 = 0xf0;
/// The counts of the finest histogram that there is take less.
const MAX_BYTES: u64 = 64 << 20;
/// Values have 63 bits, as in Java.
const VALUE_BITS: u32 = 63;

pub(super) fn decode(text: &str) -> Result<Histogram<u64>, Problem> {
    let binary = BASE64.decode(text).map_err(|error| damaged(error.to_string()))?;
    let plain = match cookie(&binary)? {
        V2_COOKIE => binary,
        V2_DEFLATE_COOKIE => inflate(&binary)?,
        DOUBLE_COOKIE | DOUBLE_DEFLATE_COOKIE => return Err(Problem::DoubleHistogram),
        _ => return Err(Problem::UnknownFormat),
    };
    check_length(&plain, Header::LENGTH)?;
    let header = Header::of(&plain).ok_or_else(|| damaged("its header is not possible"))?;
    read_counts(&header, &plain[Header::LENGTH..])
}

fn damaged(why: impl Into<String>) -> Problem {
    Problem::Damaged(why.into())
}

/// The four bytes behind the cookie say how many bytes there are behind the header.
fn check_length(binary: &[u8], header: usize) -> Result<(), Problem> {
    let length = binary.get(4..).and_then(<[u8]>::first_chunk).copied().map(u32::from_be_bytes);
    if length.is_some_and(|length| header + length as usize == binary.len()) {
        return Ok(());
    }
    Err(damaged("it is not as long as it says"))
}

fn cookie(binary: &[u8]) -> Result<u32, Problem> {
    let cookie = binary.first_chunk().copied().map(u32::from_be_bytes);
    Ok(cookie.ok_or_else(|| damaged("it is shorter than a header"))? & !WIDTH_BITS)
}

fn inflate(binary: &[u8]) -> Result<Vec<u8>, Problem> {
    check_length(binary, DEFLATE_HEADER)?;
    let mut plain = Vec::new();
    ZlibDecoder::new(&binary[DEFLATE_HEADER..])
        .take(MAX_BYTES)
        .read_to_end(&mut plain)
        .map_err(|error| damaged(error.to_string()))?;
    match cookie(&plain)? {
        V2_COOKIE => Ok(plain),
        _ => Err(Problem::UnknownFormat),
    }
}

/// How a histogram divides its range: ranges that double, each in equal steps.
struct Header {
    digits: u8,
    /// The lowest discernible value is this power of two.
    unit_bits: u32,
    highest: u64,
}

impl Header {
    /// Cookie, length of the counts, offset, digits; lowest and highest value; ratio.
    const LENGTH: usize = 40;

    /// `None` if there can be no such histogram.
    fn of(plain: &[u8]) -> Option<Self> {
        let word = |at: usize| plain.get(at..)?.first_chunk().copied().map(u32::from_be_bytes);
        let long = |at: usize| plain.get(at..)?.first_chunk().copied().map(u64::from_be_bytes);
        let digits = u8::try_from(word(12)?).ok().filter(|digits| *digits <= 5)?;
        let header = Self { digits, unit_bits: long(16)?.checked_ilog2()?, highest: long(24)? };
        (header.unit_bits + header.step_bits() < VALUE_BITS).then_some(header)
    }

    /// The first range has two to the power of this equal steps, every other half as many.
    fn step_bits(&self) -> u32 {
        (2 * 10_u32.pow(self.digits.into())).next_power_of_two().ilog2()
    }

    /// The lowest value of a count, by its place; `None` beyond all values.
    fn value(&self, place: u64) -> Option<u64> {
        let half_bits = self.step_bits() - 1;
        let doublings = (place >> half_bits).saturating_sub(1);
        let step = place - (doublings << half_bits);
        let shift = u64::from(self.unit_bits) + doublings;
        let has_room = shift + u64::from(self.step_bits()) <= u64::from(VALUE_BITS);
        has_room.then(|| step << shift)
    }

    /// Without counts; it grows.
    fn histogram(&self) -> Histogram<u64> {
        let lowest = 1_u64 << self.unit_bits;
        let highest = self.highest.clamp(2 * lowest, u64::MAX >> 1);
        let mut histogram = Histogram::new_with_bounds(lowest, highest, self.digits)
            .expect("the header was checked");
        histogram.auto(true);
        histogram
    }
}

/// Counts from the lowest value up; a negative number stands for as many that are 0.
fn read_counts(header: &Header, mut bytes: &[u8]) -> Result<Histogram<u64>, Problem> {
    let mut histogram = header.histogram();
    let mut place = 0_u64;
    while !bytes.is_empty() {
        let number = signed(&mut bytes).ok_or_else(|| damaged("its counts end too early"))?;
        let beyond = || damaged("its counts reach beyond all values");
        let Ok(count) = u64::try_from(number) else {
            place = place.checked_add(number.unsigned_abs()).ok_or_else(beyond)?;
            continue;
        };
        if count > 0 {
            let value = header.value(place).ok_or_else(beyond)?;
            histogram.len().checked_add(count).ok_or(Problem::TooManySamples)?;
            // Of values that are less than the unit, 0 is the one that would not be a maximum.
            let last_of_unit = value | ((1 << header.unit_bits) - 1);
            histogram.record_n(last_of_unit, count).map_err(|_| beyond())?;
        }
        place += 1;
    }
    Ok(histogram)
}

/// A number in ZigZag and LEB128, of at most nine bytes; `None` if it is cut off.
fn signed(bytes: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        // The ninth byte holds eight bits.
        if byte < 0x80 || shift == 56 {
            number |= u64::from(byte) << shift;
            break;
        }
        number |= u64::from(byte & 0x7f) << shift;
    }
    Some((number >> 1) as i64 ^ -((number & 1) as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPES: [(u8, u32); 4] = [(0, 0), (2, 0), (3, 9), (4, 20)];

    #[test]
    fn places_are_those_of_the_crate() {
        for (digits, unit_bits) in SHAPES {
            let header = Header { digits, unit_bits, highest: 0 };
            for value in (0..40).map(|power| 3_u64.pow(power)).filter(|value| value >> 62 == 0) {
                let mut histogram = header.histogram();
                histogram.record(value).unwrap();
                let place = (0..).find(|at| {
                    header
                        .value(*at)
                        .is_none_or(|lowest| lowest >= histogram.lowest_equivalent(value))
                });
                let lowest = header.value(place.unwrap()).unwrap();
                assert_eq!(lowest, histogram.lowest_equivalent(value), "{digits} {unit_bits}");
            }
        }
    }

    #[test]
    fn no_place_lies_beyond_all_values() {
        for (digits, unit_bits) in SHAPES {
            let header = Header { digits, unit_bits, highest: u64::MAX };
            assert_eq!(header.value(u64::MAX), None);
            let last = (0..).map(|power| 1_u64 << power).find(|at| header.value(*at).is_none());
            assert!(last.is_some_and(|place| place < 1 << 25));
        }
    }

    #[test]
    fn numbers_are_signed() {
        let cases: [(&[u8], i64); 5] = [
            (&[0], 0),
            (&[1], -1),
            (&[2], 1),
            (&[0xff, 1], -128),
            (&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], i64::MAX),
        ];
        for (mut bytes, number) in cases {
            assert_eq!(signed(&mut bytes), Some(number));
            assert!(bytes.is_empty());
        }
        assert_eq!(signed(&mut [0x80].as_slice()), None);
    }
}
