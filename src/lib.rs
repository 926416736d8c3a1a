//! ringback, an io_uring TCP echo server and the instrument that measures it.

pub mod cli;
mod driver;
mod lifecycle;
pub mod metrics;
pub mod protocol;
pub mod server;
mod sys;
#[doc(hidden)]
pub mod testing;
