//! Guides to the programs.

pub mod measuring {
    #![doc = include_str!("measuring.md")]
}
