//! What a submission carries so that its completion can be told from every other: the operation,
//! the slot it is for, and the generation of that slot.

/// `user_data` of a submission: operation in bits 56..64, generation in 32..56, slot in 0..32.
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
    Cancel = 4,
    Readable = 5,
}

/// Bits that a generation has on its way through the kernel.
pub(crate) const GENERATION_BITS: u32 = 24;

impl Token {
    pub(crate) fn new(operation: Operation, slot: u32, generation: u32) -> Self {
        Self { operation, slot, generation: generation & ((1 << GENERATION_BITS) - 1) }
    }

    pub(crate) fn to_user_data(self) -> u64 {
        (self.operation as u64) << 56 | u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// # Panics
    ///
    /// When `user_data` was not made by [`to_user_data`](Self::to_user_data): what we give the
    /// kernel is, and it returns it unchanged.
    pub(crate) fn from_user_data(user_data: u64) -> Self {
        let operation = match (user_data >> 56) as u8 {
            1 => Operation::Accept,
            2 => Operation::Receive,
            3 => Operation::Send,
            4 => Operation::Cancel,
            5 => Operation::Readable,
            other => unreachable!("completion of unknown operation {other}"),
        };
        Self::new(operation, user_data as u32, (user_data >> 32) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_kernel() {
        for operation in [
            Operation::Accept,
            Operation::Receive,
            Operation::Send,
            Operation::Cancel,
            Operation::Readable,
        ] {
            for (slot, generation) in [(0, 0), (u32::MAX, 0), (0, 0x00ff_ffff), (7, 9)] {
                let token = Token::new(operation, slot, generation);
                assert_eq!(Token::from_user_data(token.to_user_data()), token);
            }
        }
    }

    #[test]
    fn generation_wraps_at_its_width() {
        assert_eq!(Token::new(Operation::Send, 1, 1 << GENERATION_BITS).generation, 0);
    }
}
