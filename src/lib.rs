//! ringback, an io_uring TCP echo server and the instrument that measures it.

pub mod cli;
pub mod load;
pub mod protocol;
pub mod server;
