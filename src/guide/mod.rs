//! Guides: to measure, on one host and on many, to operate, to speak the protocols, to learn.

pub mod measuring {
    #![doc = include_str!("measuring.md")]
}

pub mod many_hosts {
    #![doc = include_str!("many_hosts.md")]
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
