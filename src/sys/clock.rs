//! State of the kernel's clock, which no safe wrapper asks for.

use std::io;
use std::mem::MaybeUninit;

/// The time of day as the kernel keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Discipline {
    /// True if something keeps it right, and said so lately.
    pub(crate) is_synchronised: bool,
    /// By how much it may be wrong, in microseconds.
    pub(crate) max_error_us: u64,
}

/// Asks for it (adjtimex(2)), and changes nothing.
pub(crate) fn discipline() -> io::Result<Discipline> {
    let mut state = MaybeUninit::<libc::timex>::zeroed();
    // SAFETY: with `modes` 0 the kernel sets nothing, and writes one `timex`, which `state` is.
    let condition = unsafe { libc::adjtimex(state.as_mut_ptr()) };
    if condition < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is made of integers alone, for which zeros are values, and the call filled it.
    let state = unsafe { state.assume_init() };
    Ok(Discipline {
        is_synchronised: condition != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0,
        max_error_us: u64::try_from(state.maxerror).unwrap_or(0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_its_clock_is_kept() {
        let discipline = discipline().expect("every process may ask");
        // The kernel lets the error grow up to 16 s (NTP_PHASE_LIMIT), and then it is not
        // synchronised.
        assert!(discipline.max_error_us <= 16_000_000, "{discipline:?}");
        let is_within = discipline.max_error_us < 16_000_000;
        assert!(!discipline.is_synchronised || is_within, "{discipline:?}");
    }
}
