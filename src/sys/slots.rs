//! Numbered places, of which the last ones need not be there.

/// Gives up the empty places at the end, and their memory once that is much.
pub(crate) fn trim<T>(slots: &mut Vec<Option<T>>) {
    /// A slab of fewer is kept: it may fill again at once.
    const MIN_CAPACITY: usize = 256;
    while slots.pop_if(|last| last.is_none()).is_some() {}
    if slots.capacity() > MIN_CAPACITY && slots.len() <= slots.capacity() / 4 {
        slots.shrink_to((2 * slots.len()).max(MIN_CAPACITY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_places_at_the_end_are_given_up_with_their_memory() {
        let mut slots: Vec<Option<usize>> = (0..10_000).map(Some).collect();
        slots[9_000..].fill(None);
        slots[7] = None;
        trim(&mut slots);
        assert_eq!(slots.len(), 9_000);
        slots[8..].fill(None);
        trim(&mut slots);
        assert_eq!(slots.len(), 7, "the place in between went with those behind it");
        assert!(slots.capacity() < 1_000, "{}", slots.capacity());
    }
}
