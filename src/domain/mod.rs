//! What nectr talks about: ids, events, pull requests, diffs, findings and verdicts.
//!
//! Pure: no async, no database, no HTTP. Everything here can be tested with plain values, and the rest of the
//! house speaks in these words.

pub mod clock;
pub mod diff;
pub mod event;
pub mod folders;
pub mod graph;
pub mod ids;
pub mod language;
pub mod profile;
pub mod pull_request;
pub mod references;
pub mod retry;
pub mod review;
pub mod task;

pub use clock::Clock;
pub use ids::{
    CommitSha, DeliveryId, Guid, HookId, InstallationId, PrNumber, RepoId, RepoName, RepoRef, ReviewId, TaskId, UserId,
};
