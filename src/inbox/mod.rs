//! Where work becomes durable, and how it is claimed, tried again and buried.
//!
//! [`Inbox`] is the way in: a delivery handed to [`Inbox::accept`] is on disk when the call returns, or it returns an
//! error. [`Workers`] is the way out: each claims one piece of work at a time and runs it through the handler it was
//! given, so that this room knows nothing of reviews.

mod intake;
mod worker;

use std::{io, sync::Arc, time::Duration};

use tokio::sync::Notify;

pub use crate::store::{
    intake::{Accepted, NewDelivery},
    tasks::NewTask,
    work::{Claimed, Lease, Work},
};
use crate::{
    apart,
    domain::TaskId,
    store::{Store, StoreError},
};
pub use worker::{Handler, Workers};

/// How long a caller waits for its delivery to be on disk before it is told to come again. GitHub hangs up after 10 s.
pub const STORE_DEADLINE: Duration = Duration::from_secs(5);

/// Why a delivery could not be put on disk; GitHub is told 503.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IntakeError {
    /// Not within [`STORE_DEADLINE`].
    #[error("storing the delivery took too long")]
    Slow,
    /// The process is ending.
    #[error("this process is shutting down")]
    Closed,
    /// The database said no.
    #[error(transparent)]
    Store(#[from] Arc<StoreError>),
}

/// Hands work in. Cheap to clone.
#[derive(Clone)]
pub struct Inbox {
    store: Store,
    intake: intake::Intake,
    wake: Arc<Notify>,
}

impl Inbox {
    /// Starts the thread that commits deliveries in groups.
    pub fn start(store: Store) -> io::Result<Self> {
        Ok(Self { intake: intake::Intake::start(store.clone())?, store, wake: Arc::new(Notify::new()) })
    }

    /// Puts a delivery on disk and says what became of it, after the commit.
    pub async fn accept(&self, delivery: NewDelivery) -> Result<Accepted, IntakeError> {
        let store = self.store.clone();
        let prepared = apart::on(delivery.payload.len(), move || store.prepare(delivery)).await.map_err(Arc::new)?;
        let accepted = tokio::time::timeout(STORE_DEADLINE, self.intake.accept(prepared))
            .await
            .map_err(|_| IntakeError::Slow)??;
        self.wake();
        Ok(accepted)
    }

    /// Puts a task on disk, or joins the unfinished one of the same kind and key.
    pub async fn enqueue(&self, task: NewTask) -> Result<TaskId, StoreError> {
        let id = self.store.enqueue(&task).await?;
        self.wake();
        Ok(id)
    }

    /// As [`Inbox::enqueue`], but a task that runs is run once more when it has ended.
    pub async fn enqueue_again(&self, task: NewTask) -> Result<TaskId, StoreError> {
        let id = self.store.enqueue_again(&task).await?;
        self.wake();
        Ok(id)
    }

    /// As [`Inbox::enqueue`], due only after `wait`.
    pub async fn enqueue_later(&self, task: NewTask, wait: Duration) -> Result<TaskId, StoreError> {
        let id = self.store.enqueue_later(&task, wait).await?;
        self.wake();
        Ok(id)
    }

    /// Tells a sleeping worker that something may be due.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// Takes no more deliveries, and returns when those that were handed in are on disk.
    pub async fn close(&self) {
        self.intake.close().await;
    }
}
