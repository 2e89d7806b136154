//! Work that is not a delivery: joined, run once more, put off, and how far it has come.

use std::time::Duration;

use nectr::{
    domain::{Clock, InstallationId, RepoId, RepoName, RepoRef, TaskId, task::TaskKind},
    store::{
        Store, StoreError,
        deliveries::Status,
        lease::End,
        tasks::NewTask,
        work::{Claimed, Work},
    },
};
use serde_json::json;

use crate::support::database::{Database, noon};

struct Desk {
    store: Store,
    clock: Clock,
}

/// Tells a story to a desk with nothing on it.
async fn desk(story: impl AsyncFnOnce(&Desk)) {
    let clock = Clock::manual(noon());
    let database = Database::fresh().await;
    let desk = Desk { store: database.store(&clock).await, clock };
    story(&desk).await;
    drop(desk);
    database.remove().await;
}

impl Desk {
    async fn claim(&self) -> Option<Claimed> {
        self.store.claim().await.unwrap()
    }

    async fn status(&self, id: TaskId) -> Status {
        self.store.task(id).await.unwrap().unwrap().status
    }

    async fn finish(&self, claimed: &Claimed, end: &End) {
        self.store.finish(claimed.lease, end).await.unwrap();
    }
}

fn build() -> NewTask {
    NewTask {
        kind: TaskKind::Graph,
        key: "7".into(),
        installation: InstallationId(1),
        repo: RepoRef { id: RepoId(7), name: RepoName::parse("acme/shop").unwrap() },
        number: None,
        payload: json!({"step": 0}),
    }
}

fn payload(claimed: &Claimed) -> &serde_json::Value {
    match &claimed.work {
        Work::Task { payload, .. } => payload,
        Work::Delivery { .. } => panic!("no task"),
    }
}

fn done() -> End {
    End::Finished { status: Status::Completed, outcome: "graph_built".into() }
}

fn parked() -> End {
    End::Parked { wait: Duration::from_secs(600), error: "GitHub is unreachable".into() }
}

#[tokio::test]
async fn a_task_that_waits_for_a_retry_is_due_when_it_is_asked_for_again() {
    desk(async |t| {
        let id = t.store.enqueue(&build()).await.unwrap();
        t.finish(&t.claim().await.unwrap(), &parked()).await;
        assert_eq!(t.status(id).await, Status::Failed);
        assert!(t.claim().await.is_none(), "it waits");
        assert_eq!(t.store.enqueue(&build()).await.unwrap(), id);
        assert_eq!(t.status(id).await, Status::Queued);
        t.finish(&t.claim().await.unwrap(), &done()).await;
        assert!(t.claim().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn who_joins_a_running_task_takes_what_it_finds_and_who_asks_again_has_it_run_once_more() {
    desk(async |t| {
        let id = t.store.enqueue(&build()).await.unwrap();
        let running = t.claim().await.unwrap();
        assert_eq!(t.store.enqueue(&build()).await.unwrap(), id);
        t.finish(&running, &done()).await;
        assert_eq!(t.status(id).await, Status::Completed);
        assert!(t.claim().await.is_none());

        let id = t.store.enqueue_again(&build()).await.unwrap();
        let running = t.claim().await.unwrap();
        for _ in 0..3 {
            assert_eq!(t.store.enqueue_again(&build()).await.unwrap(), id);
        }
        t.finish(&running, &done()).await;
        assert_eq!(t.status(id).await, Status::Queued, "what it read may be older than what made somebody ask");
        let once_more = t.claim().await.unwrap();
        assert_eq!((once_more.lease.id, once_more.attempts), (id.0, 1));
        t.finish(&once_more, &done()).await;
        assert_eq!(t.status(id).await, Status::Completed, "once, however often it was asked for");
        assert!(t.claim().await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_asked_for_again_while_its_last_attempt_fails_starts_afresh() {
    desk(async |t| {
        let id = t.store.enqueue(&build()).await.unwrap();
        let failed = End::Failed { wait: Duration::ZERO, error: "no".into() };
        for _ in 0..7 {
            t.finish(&t.claim().await.unwrap(), &failed).await;
        }
        let last = t.claim().await.unwrap();
        t.store.enqueue_again(&build()).await.unwrap();
        t.finish(&last, &failed).await;
        assert_eq!(t.status(id).await, Status::Queued);
        assert_eq!(t.claim().await.unwrap().attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_task_that_is_asked_for_again_survives_the_worker_that_vanishes_in_its_last_attempt() {
    desk(async |t| {
        let id = t.store.enqueue(&build()).await.unwrap();
        for _ in 0..8 {
            t.claim().await.unwrap();
            t.clock.advance(Duration::from_secs(61));
        }
        t.store.enqueue_again(&build()).await.unwrap();
        assert_eq!(t.claim().await.unwrap().attempts, 1, "what was asked for meanwhile is done");
        assert_eq!(t.status(id).await, Status::Running);
    })
    .await;
}

#[tokio::test]
async fn how_far_a_task_has_come_is_what_the_next_attempt_is_given() {
    desk(async |t| {
        t.store.enqueue(&build()).await.unwrap();
        let first = t.claim().await.unwrap();
        assert_eq!(payload(&first), &json!({"step": 0}));
        t.store.keep_progress(first.lease, &json!({"step": 1})).await.unwrap();
        t.clock.advance(Duration::from_secs(61));
        let second = t.claim().await.unwrap();
        assert_eq!(payload(&second), &json!({"step": 1}));
        let late = t.store.keep_progress(first.lease, &json!({"step": 9})).await;
        assert!(matches!(late, Err(StoreError::Fenced)), "{late:?}");
        t.finish(&second, &End::HandedBack).await;
        assert_eq!(payload(&t.claim().await.unwrap()), &json!({"step": 1}));
    })
    .await;
}

#[tokio::test]
async fn all_that_need_the_same_thing_are_put_off_together() {
    desk(async |t| {
        let learn = |key: &str| NewTask { kind: TaskKind::Learn, key: key.into(), ..build() };
        for key in ["a", "b", "c"] {
            t.store.enqueue(&learn(key)).await.unwrap();
        }
        t.store.enqueue_later(&learn("d"), Duration::from_secs(5)).await.unwrap();
        let running = t.claim().await.unwrap();
        t.store.enqueue(&build()).await.unwrap();
        assert_eq!(t.store.held_back_for(TaskKind::Learn).await.unwrap(), Some(Duration::from_secs(5)));
        assert_eq!(t.store.held_back_for(TaskKind::Graph).await.unwrap(), None);
        assert_eq!(t.store.hold_back(TaskKind::Learn, Duration::from_secs(15)).await.unwrap(), 2);
        t.finish(&running, &done()).await;
        let other = t.claim().await.unwrap();
        assert!(matches!(&other.work, Work::Task { kind, .. } if kind == "graph"), "other work is not put off");
        assert!(t.claim().await.is_none());
        t.clock.advance(Duration::from_secs(15));
        assert_eq!(t.store.held_back_for(TaskKind::Learn).await.unwrap(), None, "now somebody looks");
        for _ in 0..3 {
            let claimed = t.claim().await.unwrap();
            t.finish(&claimed, &End::Failed { wait: Duration::from_secs(60), error: "refused".into() }).await;
        }
        assert_eq!(
            t.store.held_back_for(TaskKind::Learn).await.unwrap(),
            None,
            "a fact that is refused holds up no other"
        );
    })
    .await;
}

#[tokio::test]
async fn the_latest_task_tells_how_it_stands_and_the_last_good_one_since_when() {
    desk(async |t| {
        let latest = async || t.store.latest_task(TaskKind::Graph, "7").await.unwrap();
        let good = async || t.store.last_completed(TaskKind::Graph, "7").await.unwrap();
        assert_eq!((latest().await, good().await), (None, None));
        t.store.enqueue(&build()).await.unwrap();
        t.finish(&t.claim().await.unwrap(), &done()).await;
        t.clock.advance(Duration::from_secs(60));
        let id = t.store.enqueue(&build()).await.unwrap();
        t.finish(&t.claim().await.unwrap(), &parked()).await;
        let row = latest().await.unwrap();
        assert_eq!((row.id, row.status, row.error.as_deref()), (id, Status::Failed, Some("GitHub is unreachable")));
        assert_eq!(good().await, Some(noon()));

        let gone = End::Finished { status: Status::Completed, outcome: "gone".into() };
        t.store.enqueue(&build()).await.unwrap();
        t.finish(&t.claim().await.unwrap(), &gone).await;
        assert_eq!(good().await, Some(noon()), "gone is not good");
        t.store.enqueue(&build()).await.unwrap();
        let dropped = End::Finished { status: Status::Ignored, outcome: "disconnected".into() };
        t.finish(&t.claim().await.unwrap(), &dropped).await;
        assert_eq!(latest().await.unwrap().outcome.as_deref(), Some("gone"), "what was dropped tells nothing");
    })
    .await;
}
