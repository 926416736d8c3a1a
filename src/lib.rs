//! ringback, an io_uring TCP echo server and the instrument that measures it.

pub mod load;
pub mod protocol;
