//! Name of a submission, so that its completion can be told from every other: the operation, the
//! slot it is for, and the generation of that slot.

/// `user_data` of a submission: operation in bits 56..63, generation in 32..56, slot in 0..32. Bit
/// 63 marks the cancellation of the operation that the rest names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token {
    pub(crate) operation: Operation,
    /// Index of the connection, listener or other thing that the operation belongs to.
    pub(crate) slot: u32,
    /// Tells apart the successive users of a slot; only the low 24 bits are kept.
    pub(crate) generation: u32,
}

/// Kinds of operation that can be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Operation {
    Accept = 1,
    Receive = 2,
    Send = 3,
    Writable = 4,
    Readable = 5,
    Tick = 6,
    Ready = 7,
}

/// Subject of a completion: an operation itself, or the request to cancel it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Operation,
    Cancellation,
}

/// Bits that a generation has on its way through the kernel.
pub(crate) const GENERATION_BITS: u32 = 24;

const CANCELLATION: u64 = 1 << 63;

impl Operation {
    const ALL: [Self; 7] = [
        Self::Accept,
        Self::Receive,
        Self::Send,
        Self::Writable,
        Self::Readable,
        Self::Tick,
        Self::Ready,
    ];
}

impl Token {
    pub(crate) fn new(operation: Operation, slot: u32, generation: u32) -> Self {
        Self { operation, slot, generation: generation & ((1 << GENERATION_BITS) - 1) }
    }

    pub(crate) fn to_user_data(self) -> u64 {
        (self.operation as u64) << 56 | u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// `user_data` of the request to cancel the operation with this token.
    pub(super) fn to_cancellation(self) -> u64 {
        self.to_user_data() | CANCELLATION
    }

    /// # Panics
    ///
    /// When `user_data` is of no token: what we give the kernel is, and it returns it unchanged.
    pub(crate) fn from_user_data(user_data: u64) -> Self {
        let number = (user_data >> 56) as u8;
        let operation = Operation::ALL.into_iter().find(|operation| *operation as u8 == number);
        let operation = operation.expect("the kernel completes operations that were submitted");
        Self::new(operation, user_data as u32, (user_data >> 32) as u32)
    }

    /// The token that a completion names, and what the completion is of.
    pub(super) fn of_completion(user_data: u64) -> (Self, Subject) {
        let subject =
            if user_data & CANCELLATION == 0 { Subject::Operation } else { Subject::Cancellation };
        (Self::from_user_data(user_data & !CANCELLATION), subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_kernel() {
        for operation in Operation::ALL {
            for (slot, generation) in [(0, 0), (u32::MAX, 0), (0, 0x00ff_ffff), (7, 9)] {
                let token = Token::new(operation, slot, generation);
                let (own, cancellation) = (token.to_user_data(), token.to_cancellation());
                assert_eq!(Token::of_completion(own), (token, Subject::Operation));
                assert_eq!(Token::of_completion(cancellation), (token, Subject::Cancellation));
            }
        }
    }

    #[test]
    fn generation_wraps_at_its_width() {
        assert_eq!(Token::new(Operation::Send, 1, 1 << GENERATION_BITS).generation, 0);
    }
}
