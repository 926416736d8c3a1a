//! The protocol cores: vectors, properties against independent models, the fuzzers' corpus.

mod client_vectors;
mod fuzz_corpus;
mod properties;
mod server_vectors;
mod vectors;
