//! The time, as a handle: the system's clock in production, one that only moves when told to in tests.
//!
//! Deadlines of network calls use tokio's timer; everything that is *compared with what is stored* (leases, back-off,
//! expiry, retention) asks this clock, so that a test can let an hour pass without waiting for it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, TimeZone, Utc};

/// Where "now" comes from. Cheap to clone; clones of a test clock share its time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// The system's wall clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `start` until [`Clock::advance`] moves it.
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(start.timestamp_micros()))))
    }

    /// The current time, to the microsecond (what PostgreSQL keeps).
    pub fn now(&self) -> DateTime<Utc> {
        let micros = match &self.0 {
            Source::System => Utc::now().timestamp_micros(),
            Source::Manual(at) => at.load(Ordering::SeqCst),
        };
        Utc.timestamp_micros(micros).single().unwrap_or_default()
    }

    /// Moves a manual clock forward. The system's clock takes no orders: there it does nothing.
    pub fn advance(&self, by: Duration) {
        self.shift(i64::try_from(by.as_micros()).unwrap_or(i64::MAX));
    }

    /// Moves a manual clock back, as people and time servers do with the system's.
    pub fn set_back(&self, by: Duration) {
        self.shift(i64::try_from(by.as_micros()).map_or(i64::MIN, |by| -by));
    }

    fn shift(&self, by: i64) {
        if let Source::Manual(at) = &self.0 {
            at.fetch_add(by, Ordering::SeqCst);
        }
    }
}
