//! Guides: to measure, to operate, to speak the protocols, to learn.

pub mod measuring {
    #![doc = include_str!("measuring.md")]
}

pub mod operating {
    #![doc = include_str!("operating.md")]
}

pub mod protocol {
    #![doc = include_str!("protocol.md")]
}

pub mod io_uring {
    #![doc = include_str!("io_uring.md")]
}

pub mod io_models {
    #![doc = include_str!("io_models.md")]
}

pub mod proofs {
    #![doc = include_str!("proofs.md")]
}
