//! All installations, in memory: every delivery asks for one.
//!
//! Rows are remembered sealed, as they are on disk. What this process changes is forgotten at once. On PostgreSQL other
//! processes change rows too, and say so (the database does, in the transaction of the change). Should that get lost, a
//! look at the version of all rows tells: every [`TRUSTED`], and for whoever is about to turn a delivery away
//! ([`Freshness::Now`]) at most every [`BETWEEN`], whoever asks and however often.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ConnectionTrait;
use sqlx::{PgPool, postgres::PgListener};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{InstallationState, Owned, Store, StoreError, WriteTx, newest};
use crate::domain::{HookId, InstallationId, RepoName};

/// How long other processes' changes may go unseen when nobody tells of them.
const TRUSTED: Duration = Duration::from_secs(1);

/// Time between two looks on behalf of deliveries that are to be turned away: strangers may send any number of them.
const BETWEEN: Duration = Duration::from_millis(50);

/// Where changes are announced.
const CHANNEL: &str = "nectr_installations";

/// Time between two tries to hear of changes.
const LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// How true an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// As of a second ago.
    Recent,
    /// As true as can be had without asking the database for every stranger.
    Now,
}

/// What is remembered.
#[derive(Default)]
pub(in crate::store) struct Memory {
    /// Counted up by every change this process makes or hears of.
    changes: Arc<AtomicU64>,
    rows: tokio::sync::Mutex<Option<Looked>>,
    /// Ends the listening with the store.
    listening: OnceLock<DropGuard>,
    /// When each installation's last delivery was noted, and the status it got.
    noted: Mutex<HashMap<InstallationId, (DateTime<Utc>, u16)>>,
}

/// All rows at one moment, newest first.
#[derive(Default)]
struct Known {
    by_hook: HashMap<HookId, Vec<Arc<Owned>>>,
    by_name: HashMap<String, Vec<Arc<Owned>>>,
    by_id: HashMap<InstallationId, Arc<Owned>>,
}

/// What was found at the last look.
struct Looked {
    known: Arc<Known>,
    /// Of the rows, as the database counts.
    version: i64,
    changes: u64,
    at: Instant,
}

impl Memory {
    /// Something about installations was changed.
    pub(in crate::store) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    fn noted(&self) -> MutexGuard<'_, HashMap<InstallationId, (DateTime<Utc>, u16)>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Commits what changes installations.
    pub(in crate::store) async fn commit_installations(&self, tx: WriteTx) -> Result<(), StoreError> {
        tx.commit().await?;
        self.inner.known.changed();
        Ok(())
    }

    /// The installations that have, or had, this webhook, newest first.
    pub async fn installations_by_hook(&self, hook: HookId, fresh: Freshness) -> Result<Vec<Arc<Owned>>, StoreError> {
        Ok(self.known(fresh).await?.by_hook.get(&hook).cloned().unwrap_or_default())
    }

    /// Everybody's installations of repositories of this name that have come this far, newest first.
    pub async fn installations_named(
        &self,
        repo: &RepoName,
        state: InstallationState,
        limit: usize,
        fresh: Freshness,
    ) -> Result<Vec<Arc<Owned>>, StoreError> {
        let known = self.known(fresh).await?;
        let named = known.by_name.get(&repo.key()).into_iter().flatten();
        Ok(named.filter(|owned| owned.installation.state == state).take(limit).cloned().collect())
    }

    /// One installation, as it was a second ago at most; when it was last heard of may be older.
    pub async fn known_installation(&self, id: InstallationId) -> Result<Option<Arc<Owned>>, StoreError> {
        Ok(self.known(Freshness::Recent).await?.by_id.get(&id).cloned())
    }

    /// Whether a delivery that brings no news is worth noting: none with the same status was, for `quiet`. Who is told so
    /// notes it.
    pub fn is_worth_noting(&self, id: InstallationId, status: u16, quiet: TimeDelta) -> bool {
        let now = self.inner.clock.now();
        let mut noted = self.inner.known.noted();
        match noted.get(&id) {
            Some((at, known)) if *known == status && (*at..*at + quiet).contains(&now) => false,
            _ => {
                noted.insert(id, (now, status));
                true
            }
        }
    }

    async fn known(&self, fresh: Freshness) -> Result<Arc<Known>, StoreError> {
        let memory = &self.inner.known;
        // One looks, the others wait for what it finds.
        let mut looked = memory.rows.lock().await;
        // Before the rows: a change meanwhile makes what is read stale, never the other way round.
        let (at, changes) = (Instant::now(), memory.changes.load(Ordering::SeqCst));
        let mut version = None;
        if let Some(looked) = looked.as_mut().filter(|looked| looked.changes == changes) {
            let age = match fresh {
                Freshness::Recent => TRUSTED,
                Freshness::Now => BETWEEN,
            };
            if !self.is_shared() || at.duration_since(looked.at) < age {
                return Ok(looked.known.clone());
            }
            let now = self.installations_version().await?;
            if now == looked.version {
                looked.at = at;
                return Ok(looked.known.clone());
            }
            version = Some(now);
        }
        let version = match version {
            Some(version) => version,
            None => {
                self.listen();
                self.installations_version().await?
            }
        };
        let mut known = Known::default();
        for owned in self.owned(newest()).await?.into_iter().map(Arc::new) {
            let installation = &owned.installation;
            if let Some(hook) = installation.hook_id {
                known.by_hook.entry(hook).or_default().push(owned.clone());
            }
            known.by_name.entry(installation.repo.name.key()).or_default().push(owned.clone());
            known.by_id.insert(installation.id, owned);
        }
        Ok(looked.insert(Looked { known: Arc::new(known), version, changes, at }).known.clone())
    }

    /// How often the rows were changed, where others change them too.
    async fn installations_version(&self) -> Result<i64, StoreError> {
        if !self.is_shared() {
            return Ok(0);
        }
        let sql = "SELECT version FROM installation_changes";
        let row = self.read().query_one_raw(self.sql(sql, [])).await?;
        let row = row.ok_or_else(|| StoreError::Corrupt("nobody counts changes of installations".into()))?;
        Ok(row.try_get("", "version")?)
    }

    /// Begins to listen, where there is anybody to listen to.
    fn listen(&self) {
        if !self.is_shared() {
            return;
        }
        self.inner.known.listening.get_or_init(|| {
            let (pool, changes) =
                (self.inner.read.get_postgres_connection_pool().clone(), self.inner.known.changes.clone());
            let stop = CancellationToken::new();
            let until = stop.clone();
            tokio::spawn(async move { until.run_until_cancelled(hear(pool, changes)).await });
            stop.drop_guard()
        });
    }
}

/// Counts what other processes announce, for ever.
async fn hear(pool: PgPool, changes: Arc<AtomicU64>) {
    loop {
        if let Err(error) = hear_until_broken(&pool, &changes).await {
            tracing::warn!(%error, "changes of installations are not heard of at once; looking every second goes on");
        }
        tokio::time::sleep(LISTEN_AGAIN).await;
    }
}

async fn hear_until_broken(pool: &PgPool, changes: &AtomicU64) -> Result<(), sqlx::Error> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    loop {
        // What was said before this began, or while the connection was lost, nobody repeats.
        changes.fetch_add(1, Ordering::SeqCst);
        listener.try_recv().await?;
    }
}
