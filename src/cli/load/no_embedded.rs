//! In place of `embedded` in a build without the feature `server`.

use super::error::LoadError;
use crate::load::Config;

#[derive(Debug)]
pub(super) enum Embedded {}

impl Embedded {
    pub(super) fn start(_: &mut Config, _: usize) -> Result<Self, LoadError> {
        Err(LoadError::usage(
            "no server is named, and this build has none to embed (it lacks the feature \"server\"): \
             name one, as in ringback-load 127.0.0.1:65432",
        ))
    }

    pub(super) fn stop(self) -> Result<(), LoadError> {
        match self {}
    }
}
