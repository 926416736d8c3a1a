//! Guides: to measure, on one host and on many, to operate, to speak the protocols, to learn.

/// A page. Its own links lead to files of the repository; here they are defined first, and so
/// differently, as pages of this documentation.
macro_rules! page {
    (
        $name:ident,
        $text:literal
        $(, pages: [$(($label:literal, $page:literal)),*])?
        $(, sources: [$($source:literal),*])?
    ) => {
        $($(#[doc = concat!("[", $label, "]: crate::", $page)])*)?
        $($(#[doc = concat!("[`src/", $source, "`]: ../../../src/ringback/", $source, ".html")])*)?
        #[doc = ""]
        #[doc = include_str!($text)]
        pub mod $name {}
    };
}

page!(measuring, "measuring.md");
page!(many_hosts, "many_hosts.md", pages: [("operating", "guide::operating")]);
page!(
    operating,
    "operating.md",
    pages: [("how far one goes", "guide::many_hosts#how-far-one-goes")]
);
page!(protocol, "protocol.md", pages: [("`protocol`", "protocol")]);
page!(
    io_uring,
    "io_uring.md",
    sources: [
        "driver/splicing.rs",
        "driver/spin.rs",
        "driver/uring/kernel.rs",
        "driver/uring/mod.rs",
        "driver/uring/parked.rs",
        "driver/uring/readiness.rs",
        "driver/uring/receiving.rs",
        "driver/uring/sending.rs",
        "sys/buf_ring.rs",
        "sys/in_flight.rs",
        "sys/lease.rs",
        "sys/sandbox.rs",
        "sys/setup.rs",
        "sys/token.rs",
        "testing/simulation/mod.rs"
    ]
);
page!(
    io_models,
    "io_models.md",
    pages: [("measuring", "guide::measuring"), ("`io_uring`", "guide::io_uring")]
);
page!(proofs, "proofs.md");
