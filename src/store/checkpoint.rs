//! SQLite's checkpoints, beside the writers instead of in their way.
//!
//! What is committed lies in the write-ahead log until a checkpoint copies it into the file. Left alone, SQLite lets the
//! commit that fills the log do that: whoever waits for it, and everybody behind, waits for all the copying. Here a task
//! copies nearly all of it while deliveries go on being stored, and holds the writers up only for what is left, because
//! the log begins anew only when nothing is.

use std::sync::atomic::{AtomicU64, Ordering};

use sea_orm::{ConnectionTrait, DatabaseConnection};
use tokio::sync::Notify;

use super::{Lane, Store, StoreError};

/// Pages, about, that are copied at a time: 4 MiB. While the disk takes them, those who wait for it are behind them.
const PIECE: u64 = 1_000;

/// Pieces, about, after which the log begins anew: at 32 MiB.
const PIECES: u64 = 8;

/// Pages in the log at which a commit does it after all: 64 MiB, should the task not.
pub(super) const MOST: u64 = 2 * PIECES * PIECE;

/// Pages a transaction writes, about.
pub(super) const TRANSACTION: u64 = 8;

/// Pages a delivery adds to that, about, whose payload is `bytes` long on disk.
pub(super) fn delivery(bytes: usize) -> u64 {
    1 + bytes as u64 / 4096
}

/// How much came into the log.
#[derive(Default)]
pub(super) struct Log {
    /// Pages since the last copy, about.
    pages: AtomicU64,
    full: Notify,
}

impl Log {
    /// About so many pages more.
    pub(super) fn grew(&self, pages: u64) {
        if self.pages.fetch_add(pages, Ordering::Relaxed) + pages >= PIECE {
            self.full.notify_one();
        }
    }
}

impl Store {
    /// Empties SQLite's log whenever that is worth it; never ends. PostgreSQL sees to its own.
    pub async fn checkpoints(&self) {
        for piece in (1..=PIECES).cycle() {
            self.inner.log.full.notified().await;
            self.inner.log.pages.store(0, Ordering::Relaxed);
            if let Err(error) = self.checkpoint(piece == PIECES).await {
                tracing::warn!(%error, "the write-ahead log was not emptied, it is tried again as it grows");
            }
        }
    }

    /// Copies what is there; with `all`, nobody writes until nothing is left.
    async fn checkpoint(&self, all: bool) -> Result<(), StoreError> {
        self.copy_log(self.read()).await?;
        if !all {
            return Ok(());
        }
        // What was written meanwhile.
        self.copy_log(self.read()).await?;
        let _turn = self.inner.gate.enter(Lane::Intake).await;
        // Whoever has the turn finds this connection free.
        self.copy_log(&self.inner.write).await
    }

    /// Copies what lies in the log now. Waits for nobody: what somebody still reads stays for the next time.
    async fn copy_log(&self, through: &DatabaseConnection) -> Result<(), StoreError> {
        through.query_all_raw(self.sql("PRAGMA wal_checkpoint(PASSIVE)", [])).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use super::{super::users::testing::delivery, *};
    use crate::store::{intake::NewDelivery, users::testing::Fixture};

    const MIB: u64 = 1024 * 1024;

    /// Fifty deliveries of 20 KB in which nothing repeats.
    fn batch(first: u32) -> Vec<NewDelivery> {
        let noise = |seed: u32| {
            let step = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            std::iter::successors(Some(u64::from(seed)), step).map(|state| (state >> 56) as u8).take(20_000)
        };
        let large = |number: u32| NewDelivery { payload: noise(number).collect(), ..delivery(number as usize) };
        (first..first + 50).map(large).collect()
    }

    fn log_size(store: &Store) -> u64 {
        let path = format!("{}-wal", store.inner.path.as_ref().unwrap().display());
        std::fs::metadata(path).unwrap().len()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_log_begins_anew_while_deliveries_keep_coming_and_not_one_of_them_empties_it() {
        let t = Fixture::new().await;
        let mut next = 0;
        let mut store_a_mib = async || {
            t.store.accept(&batch(next)).await.unwrap();
            next += 50;
        };
        for _ in 0..24 {
            store_a_mib().await;
        }
        let left_alone = log_size(&t.store);
        assert!(left_alone > 20 * MIB, "{left_alone}");

        let store = t.store.clone();
        let emptying = tokio::spawn(async move { store.checkpoints().await });
        for _ in 0..60 {
            store_a_mib().await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        emptying.abort();
        // That it never was so large says that no commit had to do it.
        let largest = log_size(&t.store);
        assert!(largest < MOST * 4096, "{largest}");
    }
}
