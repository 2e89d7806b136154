//! How a piece of work ended, as handlers say it.

use std::time::Duration;

use super::{StoreError, deliveries::Status};
use crate::domain::retry::Retry;

/// How a piece of work ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// `completed`, `superseded` or `ignored`.
    pub status: Status,
    /// What callers read as `outcome`.
    pub code: &'static str,
}

impl Outcome {
    /// Done, and what was done.
    pub const fn completed(code: &'static str) -> Self {
        Self { status: Status::Completed, code }
    }

    /// A newer delivery does what this one asked for.
    pub const fn superseded() -> Self {
        Self { status: Status::Superseded, code: "superseded" }
    }

    /// There is nothing to do after all.
    pub const fn ignored(code: &'static str) -> Self {
        Self { status: Status::Ignored, code }
    }
}

/// How a piece of work ended badly.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Somebody else has the work by now. Nothing is recorded.
    #[error("this worker's lease is over")]
    Fenced,
    /// To be tried again.
    #[error("{error}")]
    Again {
        /// When, and whether it counts.
        retry: Retry,
        /// What went wrong, for the operator.
        error: String,
    },
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Fenced => Self::Fenced,
            StoreError::Corrupt(_) => Self::Again { retry: Retry::Count, error: error.to_string() },
            error => Self::Again { retry: Retry::Park(Duration::from_secs(5)), error: error.to_string() },
        }
    }
}
