//! Guides to the programs.

pub mod measuring {
    #![doc = include_str!("measuring.md")]
}

pub mod operating {
    #![doc = include_str!("operating.md")]
}
