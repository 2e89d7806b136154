//! Work on many bytes, where it holds nobody up.
//!
//! The threads that serve are few, one on a machine of two cores: what takes one of them tens of milliseconds makes everybody
//! wait. Deliveries are up to 25 MiB, and hashing, reading and compressing such a one takes that long each.

use tokio::task::JoinError;

/// Work on up to so many bytes is done where it is asked for: a move to another thread costs about what they do.
const MOST_HERE: usize = 256 * 1024;

/// Does `work`, which is on so many bytes. An error means that it panicked, or that the process ends.
pub async fn on<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    if bytes <= MOST_HERE {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::thread;

    use super::*;

    #[tokio::test]
    async fn little_is_done_at_once_and_much_elsewhere() {
        let here = thread::current().id();
        assert_eq!(on(MOST_HERE, || thread::current().id()).await.unwrap(), here);
        assert_ne!(on(MOST_HERE + 1, || thread::current().id()).await.unwrap(), here);
    }
}
