//! Whether a pull request is open, closed or merged, remembered for a little while.
//!
//! At most 500 entries, the least recently used goes first; 60 s for open, 300 s for closed and merged; concurrent
//! misses for one key make one call; errors are not kept; a signed delivery may teach it, and what GitHub stamped
//! earlier never replaces what it stamped later.
//!
//! moka keeps the entries and their order; whether one is over is decided by our own [`Clock`] at every read.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use moka::{Expiry, future, policy::EvictionPolicy, sync};

use crate::{
    domain::{Clock, PrNumber, RepoName, pull_request::PrState},
    telemetry::metrics::metrics,
};

const CAPACITY: u64 = 500;

/// How long an answer may be repeated.
const fn lifetime(state: PrState) -> Duration {
    match state {
        PrState::Open => Duration::from_secs(60),
        PrState::Closed | PrState::Merged => Duration::from_secs(300),
    }
}

/// The cache.
pub struct PrStates {
    clock: Clock,
    entries: sync::Cache<String, Entry>,
    /// Held between looking at an entry and replacing it.
    offering: Mutex<()>,
    /// One call at a time per key. Keeps nothing: a cache without room still makes those who ask together share.
    flights: future::Cache<String, Fetched>,
}

/// An answer and how fresh it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// The state.
    pub state: PrState,
    /// Whether it was remembered (else GitHub was asked just now).
    pub cached: bool,
    /// Seconds until GitHub would be asked again.
    pub expires_in: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    state: PrState,
    /// GitHub's `updated_at`: which of two entries is later.
    stamped: DateTime<Utc>,
    until: DateTime<Utc>,
}

impl Entry {
    /// Whether `other` is older news. GitHub stamps whole seconds; of two stamped alike a merge is final.
    fn outranks(&self, other: &Self) -> bool {
        self.stamped > other.stamped || (self.stamped == other.stamped && self.state == PrState::Merged)
    }
}

#[derive(Clone, Copy)]
struct Fetched {
    entry: Entry,
    cached: bool,
}

/// Lets moka drop entries that nobody asks for any more.
struct Lifetimes;

impl Expiry<String, Entry> for Lifetimes {
    fn expire_after_create(&self, _: &String, entry: &Entry, _: Instant) -> Option<Duration> {
        Some(lifetime(entry.state))
    }

    fn expire_after_update(&self, _: &String, entry: &Entry, _: Instant, _: Option<Duration>) -> Option<Duration> {
        Some(lifetime(entry.state))
    }
}

impl PrStates {
    /// An empty cache whose entries age by `clock`.
    pub fn new(clock: Clock) -> Self {
        let entries = sync::Cache::builder()
            .max_capacity(CAPACITY)
            .eviction_policy(EvictionPolicy::lru())
            .expire_after(Lifetimes)
            .build();
        Self { clock, entries, offering: Mutex::default(), flights: future::Cache::new(0) }
    }

    /// The state, remembered or fetched. `fetch` returns the state and GitHub's `updated_at`.
    pub async fn get<E, F>(&self, repo: &RepoName, number: PrNumber, fetch: F) -> Result<Known, Arc<E>>
    where
        E: Send + Sync + 'static,
        F: Future<Output = Result<(PrState, DateTime<Utc>), E>> + Send,
    {
        let key = key(repo, number);
        // Until moka tidies up, it holds more than there is room for.
        self.entries.run_pending_tasks();
        if let Some(entry) = self.fresh(&key) {
            metrics().pr_state_cache.with_label_values(&["hit"]).inc();
            return Ok(self.known(Fetched { entry, cached: true }));
        }
        let flight = async {
            // An earlier flight may have landed since we looked.
            if let Some(entry) = self.fresh(&key) {
                return Ok(Fetched { entry, cached: true });
            }
            let (state, stamped) = fetch.await?;
            Ok(Fetched { entry: self.land(&key, state, stamped), cached: false })
        };
        let known = self.flights.try_get_with_by_ref(&key, flight).await.map(|fetched| self.known(fetched));
        metrics().pr_state_cache.with_label_values(&["miss"]).inc();
        known
    }

    /// Takes what a signed delivery says, unless something newer is known.
    pub fn learn(&self, repo: &RepoName, number: PrNumber, state: PrState, updated_at: DateTime<Utc>) {
        let told = self.entry(state, updated_at);
        self.offer(&key(repo, number), told, |known| known.outranks(&told));
    }

    /// Takes what was fetched, unless a delivery taught something as new while the answer was under way.
    fn land(&self, key: &str, state: PrState, stamped: DateTime<Utc>) -> Entry {
        let now = self.clock.now();
        let fetched = self.entry(state, stamped);
        let taught = |known: &Entry| known.stamped == fetched.stamped && fetched.state != PrState::Merged;
        self.offer(key, fetched, |known| known.until > now && (known.outranks(&fetched) || taught(known)))
    }

    /// Puts `new` unless there is an entry that `keeps` its place; returns the one that stands.
    fn offer(&self, key: &str, new: Entry, keeps: impl FnOnce(&Entry) -> bool) -> Entry {
        let _turn = self.offering.lock().unwrap_or_else(PoisonError::into_inner);
        match self.entries.get(key) {
            Some(known) if keeps(&known) => known,
            _ => {
                self.entries.insert(key.to_owned(), new);
                new
            }
        }
    }

    fn fresh(&self, key: &str) -> Option<Entry> {
        self.entries.get(key).filter(|entry| entry.until > self.clock.now())
    }

    fn entry(&self, state: PrState, stamped: DateTime<Utc>) -> Entry {
        Entry { state, stamped, until: self.clock.now() + lifetime(state) }
    }

    fn known(&self, Fetched { entry, cached }: Fetched) -> Known {
        let left = (entry.until - self.clock.now()).to_std().unwrap_or_default();
        // Rounded up: what may still be repeated has not expired.
        let expires_in = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        Known { state: entry.state, cached, expires_in }
    }
}

fn key(repo: &RepoName, number: PrNumber) -> String {
    format!("{}#{number}", repo.key())
}

#[cfg(test)]
mod tests;
