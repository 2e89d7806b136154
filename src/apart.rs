//! Work on many bytes, where it holds nobody up.
//!
//! The threads that serve are few, one on a machine of two cores: what takes one of them tens of milliseconds makes everybody
//! wait. Deliveries are up to 25 MiB, and hashing, reading and compressing such a one takes that long each.

use std::{
    num::NonZero,
    panic::resume_unwind,
    sync::{Arc, LazyLock},
    thread,
};

use tokio::sync::Semaphore;

/// Work on up to so many bytes is done where it is asked for: it takes less than a millisecond.
const MOST_HERE: usize = 256 * 1024;

/// As much at once as there are cores. More would only compete; and what waits here still belongs to whoever asked, so it is
/// gone with them, bytes and all.
static TURNS: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(thread::available_parallelism().map_or(1, NonZero::get))));

/// Does `work`, which is on so many bytes. A panic of it is one here.
pub async fn on<T: Send + 'static>(bytes: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= MOST_HERE {
        return work();
    }
    let turn = TURNS.clone().acquire_owned().await;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    match done.await {
        Ok(done) => done,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn little_is_done_at_once_and_much_elsewhere() {
        let here = thread::current().id();
        assert_eq!(on(MOST_HERE, || thread::current().id()).await, here);
        assert_ne!(on(MOST_HERE + 1, || thread::current().id()).await, here);
    }

    #[tokio::test]
    async fn a_panic_is_the_callers_wherever_it_happened() {
        for bytes in [0, MOST_HERE + 1] {
            let panic = std::panic::AssertUnwindSafe(on(bytes, || panic!("boom"))).catch_unwind().await.unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"boom"));
        }
    }
}
