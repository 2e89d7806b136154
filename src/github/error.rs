//! What can go wrong with GitHub, sorted by what the caller should do next.
//!
//! No variant ever carries a token: messages are GitHub's words or ours.

use std::time::Duration;

use crate::domain::retry::Retry;

/// An error from below, kept for the log.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong talking to GitHub, sorted by what the caller should do next.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// 404 or 410: not there, or not for this token.
    #[error("{what} not found on GitHub")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Primary or secondary limit; nothing is wrong with the request itself. Also given without asking GitHub while a
    /// limit is known to be in force, and when our own write limit is used up.
    #[error("GitHub rate limit reached, retry after {} s", retry_after.as_secs())]
    RateLimited {
        /// No request with this token before this has passed.
        retry_after: Duration,
    },
    /// 401: the token is wrong, expired or revoked.
    #[error("GitHub rejected our credentials")]
    Unauthorized,
    /// 403 that is not a limit: the token may not do this.
    #[error("GitHub does not allow this: {message}")]
    Forbidden {
        /// GitHub's words.
        message: String,
    },
    /// 422 and other definite 4xx: GitHub understood and said no. Nothing happened.
    #[error("GitHub refused: {message}")]
    Rejected {
        /// HTTP status.
        status: u16,
        /// GitHub's `message` and the messages of its `errors`, joined with `; `.
        message: String,
    },
    /// Timeouts, resets, 5xx. A write may or may not have happened: read back before writing again.
    #[error("GitHub is unreachable")]
    Unavailable(#[source] BoxError),
    /// An answer this client cannot read.
    #[error("unexpected answer from GitHub: {0}")]
    Protocol(String),
    /// The bot has no token: what to set is in the text.
    #[error("{0}")]
    NoToken(String),
}

impl GitHubError {
    /// Whether the same work, run again, could end differently, and when.
    pub fn retry(&self) -> Retry {
        match self {
            Self::RateLimited { retry_after } => Retry::Park(*retry_after),
            Self::Unavailable(_) => Retry::Away,
            // The token, not the work: somebody has to give it (back) its rights.
            Self::Unauthorized | Self::NoToken(_) | Self::Forbidden { .. } => Retry::Park(Duration::from_secs(300)),
            Self::NotFound { .. } | Self::Rejected { .. } | Self::Protocol(_) => Retry::Count,
        }
    }
}

/// [`GitHubError::Unavailable`] from a library's error, as text: its causes joined, none of its types.
pub(super) fn unavailable(error: &dyn std::error::Error) -> GitHubError {
    // octocrab's outermost error only repeats its cause; the causes below it are the story.
    let mut causes = Vec::new();
    let mut cause = error.source().or(Some(error));
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    GitHubError::Unavailable(causes.join(": ").into())
}
