//! The loop that takes what is due, runs it, and records how it ended.
//!
//! The handler runs in a task of its own: a panic is a failed attempt, a lost lease or a shutdown stops it at its next
//! await. Whatever it did on GitHub by then is guarded by the effect rows, so stopping anywhere is safe.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::{JoinError, JoinSet};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, Span};

use super::Inbox;
use crate::{
    domain::retry::{Retry, backoff, while_away},
    store::{
        Store, StoreError,
        lease::End,
        outcome::{Failure, Outcome},
        work::{Claimed, LEASE, Lease, Work},
    },
    telemetry::{metrics::metrics, trace},
};

type Run = Pin<Box<dyn Future<Output = Result<Outcome, Failure>> + Send>>;

/// What is done with a piece of work. Must be safe to run twice.
pub type Handler = Arc<dyn Fn(Claimed) -> Run + Send + Sync>;

/// Time between heartbeats: three may fail before the lease is over.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How often an idle worker looks without being woken: work becomes due by time, and other replicas put some in.
const IDLE: Duration = Duration::from_secs(1);

/// Time that running work has to end once shutdown begins, before it is handed back.
const GRACE: Duration = Duration::from_secs(5);

/// Takes work from the inbox.
#[derive(Clone)]
pub struct Workers {
    inbox: Inbox,
    handler: Handler,
    /// How much randomness is in the back-off: uniform in `0.0..1.0`.
    jitter: fn() -> f64,
    grace: Duration,
}

impl Workers {
    /// Workers that run `handler`.
    pub fn new(inbox: Inbox, jitter: fn() -> f64, handler: Handler) -> Self {
        Self { inbox, handler, jitter, grace: GRACE }
    }

    /// Gives running work this long to end once shutdown begins, instead of 5 s.
    #[must_use]
    pub fn with_grace(self, grace: Duration) -> Self {
        Self { grace, ..self }
    }

    /// Runs `count` workers until `shutdown` (0: only waits for it); returns when all work has ended or was handed back.
    pub async fn run(&self, count: usize, shutdown: CancellationToken) {
        if count == 0 {
            return shutdown.cancelled().await;
        }
        let mut workers = JoinSet::new();
        for _ in 0..count {
            let (this, shutdown) = (self.clone(), shutdown.clone());
            workers.spawn(async move { this.work(shutdown).await });
        }
        while workers.join_next().await.is_some() {}
    }

    async fn work(&self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            match self.run_one(&shutdown).await {
                Ok(true) => {}
                Ok(false) => {
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = self.inbox.wake.notified() => {}
                        () = tokio::time::sleep(IDLE) => {}
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a worker cannot reach the database");
                    tokio::select! {
                        () = shutdown.cancelled() => {}
                        () = tokio::time::sleep(IDLE) => {}
                    }
                }
            }
        }
    }

    /// Claims and runs one piece of work, if any is due.
    pub async fn run_one(&self, shutdown: &CancellationToken) -> Result<bool, StoreError> {
        let store = &self.inbox.store;
        let Some(claimed) = store.claim().await? else { return Ok(false) };
        // There may be more: let the next sleeping worker look.
        self.inbox.wake();
        let span = attempt(&claimed);
        self.try_it(claimed, shutdown).instrument(span).await;
        Ok(true)
    }

    async fn try_it(&self, claimed: Claimed, shutdown: &CancellationToken) {
        let (lease, parked, started) = (claimed.lease, claimed.parked, Instant::now());
        let attempts = i32::try_from(claimed.attempts).unwrap_or(i32::MAX);
        let end = match self.attend(claimed, shutdown).await {
            Attended::HandBack => End::HandedBack,
            Attended::Ended(Ok(outcome)) => {
                tracing::info!(source = lease.source.as_str(), id = lease.id, outcome = outcome.code, "done");
                End::Finished { status: outcome.status, outcome: outcome.code.to_owned() }
            }
            Attended::Ended(Err(Failure::Fenced)) => {
                tracing::warn!(source = lease.source.as_str(), id = lease.id, "lease lost, stopped");
                trace::tell("outcome", "fenced");
                return;
            }
            Attended::Ended(Err(Failure::Again { retry, error })) => {
                let (wait, counts) = match retry {
                    Retry::Park(wait) => (wait, false),
                    Retry::Away => (while_away(parked, (self.jitter)()), false),
                    Retry::Count => (backoff(attempts, (self.jitter)()), true),
                };
                tracing::warn!(
                    source = lease.source.as_str(),
                    id = lease.id,
                    // One that is parked was none.
                    attempts = attempts - i32::from(!counts),
                    in_seconds = wait.as_secs(),
                    error,
                    "will try again"
                );
                if counts { End::Failed { wait, error } } else { End::Parked { wait, error } }
            }
        };
        self.record(lease, &end).await;
        note(lease, attempts, &end, started.elapsed());
    }

    /// Runs the handler while keeping the lease alive.
    async fn attend(&self, claimed: Claimed, shutdown: &CancellationToken) -> Attended {
        let lease = claimed.lease;
        // A handler whose worker is gone must not go on alone.
        let mut run = AbortOnDropHandle::new(tokio::spawn((self.handler)(claimed).in_current_span()));
        let stop = async {
            shutdown.cancelled().await;
            tokio::time::sleep(self.grace).await;
        };
        tokio::pin!(stop);
        loop {
            tokio::select! {
                biased;
                ended = &mut run => return Attended::Ended(ended.unwrap_or_else(|error| Err(panicked(error)))),
                () = &mut stop => return Attended::HandBack,
                () = tokio::time::sleep(HEARTBEAT) => match self.inbox.store.heartbeat(lease).await {
                    Err(StoreError::Fenced) => return Attended::Ended(Err(Failure::Fenced)),
                    Err(error) => tracing::warn!(%error, "a heartbeat failed"),
                    Ok(()) => {}
                },
            }
        }
    }

    /// Writes down how it ended, for as long as the lease lasts: a short loss of the database must not turn done work into
    /// lost work.
    async fn record(&self, lease: Lease, end: &End) {
        let store: &Store = &self.inbox.store;
        let began = Instant::now();
        loop {
            match store.finish(lease, end).await {
                Ok(()) => return,
                Err(StoreError::Fenced) => return tracing::warn!(id = lease.id, "ended after its lease"),
                Err(error) if began.elapsed() >= LEASE => {
                    return tracing::error!(%error, id = lease.id, "the end of an attempt could not be recorded");
                }
                Err(error) => {
                    tracing::warn!(%error, id = lease.id, "recording the end of an attempt, again");
                    tokio::time::sleep(IDLE).await;
                }
            }
        }
    }
}

/// Counts how an attempt ended, and says it on its span.
fn note(lease: Lease, attempts: i32, end: &End, took: Duration) {
    let result = match end {
        End::Finished { status, outcome } => {
            trace::tell("outcome", outcome.clone());
            metrics().work_attempts.with_label_values(&[lease.source.as_str()]).observe(attempts.into());
            status.as_str()
        }
        End::Failed { .. } => "failed",
        End::Parked { .. } => "parked",
        End::HandedBack => "handed_back",
    };
    match end {
        End::Finished { .. } => {}
        End::HandedBack => trace::tell("outcome", result),
        End::Failed { error, .. } | End::Parked { error, .. } => {
            trace::tell("outcome", result);
            trace::tell("error", error.clone());
            trace::failed();
        }
    }
    metrics().worked(lease.source.as_str(), result, took);
}

/// What one attempt is seen by. However many it takes, they belong to the trace the work was handed in with: it ends where
/// its effect does.
fn attempt(claimed: &Claimed) -> Span {
    let Claimed { lease, attempts, trace, work, .. } = claimed;
    let (kind, repo, number) = match work {
        Work::Delivery { event, repo, number, .. } => (event, repo.clone(), *number),
        Work::Task { kind, repo, number, .. } => (kind, repo.as_ref().map(|repo| repo.name.to_string()), *number),
    };
    let span = tracing::info_span!(
        parent: None,
        "attempt",
        source = lease.source.as_str(),
        id = lease.id,
        kind,
        attempt = attempts,
        repository = repo,
        pull_request = number.map(|number| number.0),
    );
    if let Some(trace) = trace {
        trace::continue_kept(&span, trace);
    }
    span
}

enum Attended {
    Ended(Result<Outcome, Failure>),
    HandBack,
}

fn panicked(error: JoinError) -> Failure {
    let what = match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "no message".to_owned()),
        Err(_) => "it was stopped".to_owned(),
    };
    Failure::Again { retry: Retry::Count, error: format!("the handler panicked: {what}") }
}
