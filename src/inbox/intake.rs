//! Group commit: one thread takes whatever waits, writes it in one transaction, and answers everybody after that commit.
//!
//! While one group is being flushed the next one gathers, so the busier it gets the fewer flushes a delivery costs.
//! There is no waiting window: a lone delivery is written at once. The thread does nothing else, and hears itself what the
//! database answers, so that the end of a flush waits for nobody's turn before the next begins.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    runtime,
    sync::{mpsc, oneshot},
};

use super::{IntakeError, STORE_DEADLINE};
use crate::store::{
    Store,
    intake::{Accepted, GROUP, Prepared},
};

/// Deliveries that may wait for the writer; beyond that callers wait to hand theirs in, within their deadline.
const WAITING: usize = 1024;

/// Payload bytes in one transaction, at most (a single larger delivery goes alone).
const GROUP_BYTES: usize = 32 * 1024 * 1024;

/// When nothing has come for so long, there is time for other things. Short, so that even where many deliveries come every
/// second little is ever put off for long.
const QUIET: Duration = Duration::from_millis(50);

struct Waiting {
    delivery: Prepared,
    answer: oneshot::Sender<Result<Accepted, IntakeError>>,
}

#[derive(Clone)]
pub(super) struct Intake {
    queue: Arc<Mutex<Option<mpsc::Sender<Waiting>>>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Intake {
    pub(super) fn start(store: Store) -> io::Result<Self> {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        let (begins, begun) = std::sync::mpsc::sync_channel(1);
        // The runtime is made where it is used: one that comes to nothing may not be dropped where others run.
        let work = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| begins.send(Err(error)));
            let Ok(runtime) = runtime else { return };
            let _ = begins.send(Ok(()));
            to_the_end(|| runtime.block_on(write(&store, &mut receiver)));
        };
        let writer = thread::Builder::new().name("intake".into()).spawn(work)?;
        begun.recv().map_err(io::Error::other)??;
        Ok(Self { queue: Arc::new(Mutex::new(Some(sender))), writer: Arc::new(Mutex::new(Some(writer))) })
    }

    pub(super) async fn accept(&self, delivery: Prepared) -> Result<Accepted, IntakeError> {
        let queue = lock(&self.queue).clone().ok_or(IntakeError::Closed)?;
        let (answer, answered) = oneshot::channel();
        queue.send(Waiting { delivery, answer }).await.map_err(|_| IntakeError::Closed)?;
        drop(queue);
        answered.await.map_err(|_| IntakeError::Closed)?
    }

    pub(super) async fn close(&self) {
        lock(&self.queue).take();
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            let _ = tokio::task::spawn_blocking(|| writer.join()).await;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Does it again if it panics: whoever waited for it is told, and those who come later are served.
fn to_the_end(mut work: impl FnMut()) {
    while catch_unwind(AssertUnwindSafe(&mut work)).is_err() {
        tracing::error!("storing deliveries panicked, the next are stored nevertheless");
    }
}

/// Writes until nobody can hand anything in any more.
async fn write(store: &Store, queue: &mut mpsc::Receiver<Waiting>) {
    let mut next = None;
    while let Some(first) = match next.take() {
        Some(waiting) => Some(waiting),
        None => first(store, queue).await,
    } {
        let mut bytes = first.delivery.size();
        let mut deliveries = vec![first.delivery];
        let mut answers = vec![first.answer];
        while deliveries.len() < GROUP {
            let Ok(waiting) = queue.try_recv() else { break };
            bytes += waiting.delivery.size();
            if bytes > GROUP_BYTES {
                next = Some(waiting);
                break;
            }
            deliveries.push(waiting.delivery);
            answers.push(waiting.answer);
        }
        // Whoever waits for these has given up by then; what hangs must not hold up those who come later. (A disk that hangs
        // under SQLite does: there is nothing to be stored on.)
        let accepted = tokio::time::timeout(STORE_DEADLINE, store.accept_prepared(deliveries)).await;
        match accepted.map_err(|_| IntakeError::Slow).and_then(|accepted| Ok(accepted.map_err(Arc::new)?)) {
            Ok(accepted) => {
                for (answer, accepted) in answers.into_iter().zip(accepted) {
                    let _ = answer.send(Ok(accepted));
                }
            }
            Err(error) => {
                tracing::error!(%error, deliveries = answers.len(), "deliveries could not be stored");
                for answer in answers {
                    let _ = answer.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Waits for the next. When none comes for a while, the store may do what it has put off.
async fn first(store: &Store, queue: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
    if let Ok(first) = tokio::time::timeout(QUIET, queue.recv()).await {
        return first;
    }
    while queue.is_empty() {
        match tokio::time::timeout(STORE_DEADLINE, store.index_deliveries()).await {
            Ok(Ok(false)) => {}
            Ok(Ok(true)) | Err(_) => break,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the index of GUIDs was not brought up to date, it is tried again later");
                break;
            }
        }
    }
    queue.recv().await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use futures_util::future::join_all;

    use crate::{
        inbox::Inbox,
        store::{
            Lane,
            users::testing::{Fixture, delivery},
        },
    };

    use super::*;

    #[test]
    fn a_panic_while_storing_is_not_the_end_of_storing() {
        let mut groups = 0;
        to_the_end(|| {
            groups += 1;
            assert_ne!(groups, 1, "as it may happen");
        });
        assert_eq!(groups, 2);
    }

    #[tokio::test]
    async fn more_than_there_is_room_for_while_the_database_hangs_is_told_so_in_time() {
        let t = Fixture::new().await;
        let inbox = Inbox::start(t.store.clone()).unwrap();
        inbox.accept(delivery(0)).await.unwrap();

        let holding = t.store.begin(Lane::Work).await.unwrap();
        tokio::time::pause();
        let began = tokio::time::Instant::now();
        let crowd = 1..WAITING + GROUP + 100;
        for answer in join_all(crowd.clone().map(|number| inbox.accept(delivery(number)))).await {
            assert!(matches!(answer, Err(IntakeError::Slow)), "{answer:?}");
        }
        assert_eq!(began.elapsed().as_secs(), STORE_DEADLINE.as_secs());
        tokio::time::resume();
        drop(holding);

        for answer in join_all(crowd.map(|number| inbox.accept(delivery(number)))).await {
            assert!(matches!(answer, Ok(Accepted::New(_) | Accepted::Duplicate(_))), "{answer:?}");
        }
    }
}
