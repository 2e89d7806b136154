//! The loop between the inbox and the handler: panics, shutdown, lost leases.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use nectr::{
    domain::{Clock, DeliveryId},
    inbox::{Accepted, Claimed, Inbox, IntakeError, Workers},
    store::{
        Store,
        deliveries::Status,
        outcome::{Failure, Outcome},
    },
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::support::{
    database::{Database, noon},
    delivery::opened,
};

struct House {
    store: Store,
    inbox: Inbox,
}

async fn house(story: impl AsyncFnOnce(&House)) {
    let database = Database::fresh().await;
    let store = database.store(&Clock::manual(noon())).await;
    let house = House { inbox: Inbox::start(store.clone()).unwrap(), store };
    story(&house).await;
    house.inbox.close().await;
    drop(house);
    database.remove().await;
}

impl House {
    fn workers<F, R>(&self, handler: F) -> Workers
    where
        F: Fn(Claimed) -> R + Send + Sync + 'static,
        R: Future<Output = Result<Outcome, Failure>> + Send + 'static,
    {
        Workers::new(self.inbox.clone(), || 0.0, Arc::new(move |claimed| Box::pin(handler(claimed))))
    }

    async fn put(&self, pull: i64) -> DeliveryId {
        match self.inbox.accept(opened(pull)).await.unwrap() {
            Accepted::New(id) => id,
            other => panic!("expected a new delivery, got {other:?}"),
        }
    }

    async fn status(&self, id: DeliveryId) -> (Status, Option<String>) {
        let row = self.store.delivery(id).await.unwrap().unwrap().row;
        (row.status, row.last_error)
    }
}

#[tokio::test]
async fn a_panic_in_a_handler_is_a_failed_attempt_and_the_worker_goes_on() {
    house(async |t| {
        let bad = t.put(1).await;
        let good = t.put(2).await;
        let workers = t.workers(async |claimed| {
            assert!(!matches!(claimed.work, nectr::inbox::Work::Delivery { id: DeliveryId(1), .. }), "boom");
            Ok(Outcome::completed("reviewed"))
        });
        let shutdown = CancellationToken::new();
        while workers.run_one(&shutdown).await.unwrap() {}
        let (status, error) = t.status(bad).await;
        assert_eq!(status, Status::Failed);
        assert!(error.unwrap().contains("boom"));
        assert_eq!(t.status(good).await.0, Status::Completed);
    })
    .await;
}

#[tokio::test]
async fn at_shutdown_running_work_may_end_and_what_does_not_is_handed_back() {
    house(async |t| {
        let stuck = t.put(1).await;
        let quick = t.put(2).await;
        let started = Arc::new(Notify::new());
        let go_on = Arc::new(Notify::new());
        let finished = Arc::new(Notify::new());
        let workers = t
            .workers({
                let (started, go_on, finished) = (started.clone(), go_on.clone(), finished.clone());
                move |claimed| {
                    let (started, go_on, finished) = (started.clone(), go_on.clone(), finished.clone());
                    async move {
                        started.notify_one();
                        if claimed.lease.id == 1 {
                            std::future::pending::<()>().await;
                        }
                        go_on.notified().await;
                        finished.notify_one();
                        Ok(Outcome::completed("reviewed"))
                    }
                }
            })
            .with_grace(Duration::from_millis(300));
        let shutdown = CancellationToken::new();
        let running = tokio::spawn({
            let shutdown = shutdown.clone();
            async move { workers.run(2, shutdown).await }
        });
        started.notified().await;
        started.notified().await;
        go_on.notify_one();
        finished.notified().await;
        shutdown.cancel();
        running.await.unwrap();
        assert_eq!(t.status(quick).await.0, Status::Completed);
        let row = t.store.delivery(stuck).await.unwrap().unwrap().row;
        assert_eq!((row.status, row.attempts), (Status::Queued, 0), "as if it had never been claimed");
    })
    .await;
}

#[tokio::test]
async fn without_workers_deliveries_are_accepted_and_wait() {
    house(async |t| {
        let waiting = t.put(1).await;
        let workers = t.workers(async |_| Ok(Outcome::completed("reviewed")));
        let shutdown = CancellationToken::new();
        let running = workers.run(0, shutdown.clone());
        tokio::pin!(running);
        assert!(futures_util::poll!(&mut running).is_pending(), "runs until it is told to stop");
        shutdown.cancel();
        running.await;
        assert_eq!(t.status(waiting).await.0, Status::Queued);
    })
    .await;
}

#[tokio::test]
async fn p30_eight_copies_at_once_are_one_row_and_one_run() {
    house(async |t| {
        let copies = (0..8).map(|_| t.inbox.accept(opened(1)));
        let answers: Vec<_> = futures_util::future::join_all(copies).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count(), 1);
        let runs = Arc::new(AtomicUsize::new(0));
        let workers = t.workers({
            let runs = runs.clone();
            move |_| {
                runs.fetch_add(1, Ordering::SeqCst);
                async { Ok(Outcome::completed("reviewed")) }
            }
        });
        let shutdown = CancellationToken::new();
        while workers.run_one(&shutdown).await.unwrap() {}
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    })
    .await;
}

#[tokio::test]
async fn closing_stores_what_was_handed_in_and_takes_no_more() {
    house(async |t| {
        let handed_in = (1..=300).map(|pull| t.inbox.accept(opened(pull)));
        let (answers, ()) = tokio::join!(futures_util::future::join_all(handed_in), async {
            tokio::task::yield_now().await;
            t.inbox.close().await;
        });
        let stored = answers.iter().filter(|answer| answer.is_ok()).count();
        assert!(answers.iter().all(|answer| matches!(answer, Ok(_) | Err(IntakeError::Closed))));
        let page = t.store.list_deliveries(&Default::default(), 1000, None).await.unwrap();
        assert_eq!(page.items.len(), stored, "what was answered for is on disk, and nothing else");
        assert!(matches!(t.inbox.accept(opened(999)).await, Err(IntakeError::Closed)));
    })
    .await;
}
