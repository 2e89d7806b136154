//! The claim engine: who gets which piece of work, for how long, and what a worker that lost it can still do.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use nectr::{
    domain::{
        Clock, CommitSha, DeliveryId, Guid, InstallationId, PrNumber, RepoId, RepoName, RepoRef, retry::MAX_ATTEMPTS,
    },
    inbox::Inbox,
    store::{
        Store, StoreError,
        deliveries::{Redelivered, Status},
        intake::{Accepted, NewDelivery},
        lease::End,
        tasks::NewTask,
        work::{LEASE, Source},
        writes::Place,
    },
};
use sea_orm::ConnectionTrait;

use crate::support::database::{Database, noon};

struct Ledger {
    database: Database,
    store: Store,
    clock: Clock,
}

/// Tells a story to a fresh, empty inbox.
async fn inbox(story: impl AsyncFnOnce(&Ledger)) {
    let clock = Clock::manual(noon());
    let database = Database::fresh().await;
    let store = database.store(&clock).await;
    let ledger = Ledger { database, store, clock };
    story(&ledger).await;
    let Ledger { database, store, .. } = ledger;
    drop(store);
    database.remove().await;
}

impl Ledger {
    async fn accept(&self, delivery: NewDelivery) -> Accepted {
        self.store.accept(&[delivery]).await.unwrap().remove(0)
    }

    async fn put(&self, delivery: NewDelivery) -> DeliveryId {
        match self.accept(delivery).await {
            Accepted::New(id) => id,
            other => panic!("expected a new delivery, got {other:?}"),
        }
    }

    async fn status(&self, id: DeliveryId) -> Status {
        self.store.delivery(id).await.unwrap().unwrap().row.status
    }

    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }
}

fn repo(id: i64) -> RepoRef {
    RepoRef { id: RepoId(id), name: RepoName::parse("acme/shop").unwrap() }
}

fn guid(n: u32) -> Guid {
    Guid::parse(&format!("00000000-0000-4000-8000-{n:012x}")).unwrap()
}

fn delivery(n: u32, pull: i64) -> NewDelivery {
    NewDelivery {
        installation: InstallationId(1),
        guid: guid(n),
        event: "pull_request".into(),
        action: Some("opened".into()),
        repo: Some(repo(7)),
        number: Some(PrNumber(pull)),
        head: Some(CommitSha(format!("{n:040x}"))),
        event_at: Some(noon()),
        reviews: true,
        ignored: None,
        headers: serde_json::json!({"x-github-event": "pull_request"}),
        payload: Bytes::from_static(b"{}"),
    }
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn task(pull: i64) -> NewTask {
    NewTask {
        kind: nectr::domain::task::TaskKind::Review,
        key: format!("7#{pull}"),
        installation: InstallationId(1),
        repo: repo(7),
        number: Some(PrNumber(pull)),
        payload: serde_json::json!({"force": false}),
    }
}

fn failed() -> End {
    End::Failed { wait: Duration::from_secs(5), error: "no luck".into() }
}

fn done() -> End {
    End::Finished { status: Status::Completed, outcome: "reviewed".into() }
}

#[tokio::test]
async fn connections_opened_while_the_writer_answered_outlive_it() {
    inbox(async |t| {
        let inbox = Inbox::start(t.store.clone()).unwrap();
        assert!(matches!(inbox.accept(delivery(1, 1)).await, Ok(Accepted::New(_))));
        if t.database.is_postgres() {
            let beside = sea_orm::Database::connect(&t.database.url).await.unwrap();
            let others = "pid <> pg_backend_pid() AND datname = current_database()";
            let sql = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE {others}");
            beside.execute_unprepared(&sql).await.unwrap();
            beside.close().await.unwrap();
            // That they are gone is seen by whoever takes one.
            while inbox.accept(delivery(1, 1)).await.is_err() {}
        }
        // While the writer has the next, it gives the connection of the one before back.
        for _ in 0..3 {
            let again = inbox.accept(delivery(1, 1)).await;
            assert!(matches!(again, Ok(Accepted::Duplicate(_))), "{again:?}");
        }
        inbox.close().await;
        // Each on another connection.
        for read in join_all((0..8).map(|_| t.store.delivery(DeliveryId(1)))).await {
            assert!(read.unwrap().is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn the_same_delivery_in_one_batch_is_one_row() {
    inbox(async |t| {
        let batch: Vec<_> = (0..8).map(|_| delivery(1, 1)).collect();
        let answers = t.store.accept(&batch).await.unwrap();
        let new = answers.iter().filter(|answer| matches!(answer, Accepted::New(_))).count();
        let known = answers.iter().filter(|answer| matches!(answer, Accepted::Duplicate(_))).count();
        assert_eq!((new, known), (1, 7));
        assert_eq!(t.store.list_deliveries(&Default::default(), 10, None).await.unwrap().items.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn what_is_learned_of_a_repository_lets_reviews_go_first_for_an_hour() {
    inbox(async |t| {
        let learned = NewTask { kind: nectr::domain::task::TaskKind::Graph, key: "7".into(), number: None, ..task(1) };
        t.store.enqueue(&learned).await.unwrap();
        t.pass(Duration::from_secs(1800));
        t.put(delivery(1, 1)).await;
        t.store.enqueue(&task(2)).await.unwrap();
        let order = [t.store.claim().await, t.store.claim().await, t.store.claim().await];
        let order = order.map(|claimed| claimed.unwrap().unwrap().lease);
        assert_eq!((order[2].source, order[2].id), (Source::Task, 1), "what was asked for first lets the others go");

        t.store.enqueue(&NewTask { key: "8".into(), ..learned }).await.unwrap();
        t.pass(Duration::from_secs(3601));
        t.put(delivery(2, 3)).await;
        let mut next = t.store.claim().await.unwrap().unwrap().lease;
        while order.iter().any(|lost| (lost.source, lost.id) == (next.source, next.id)) {
            next = t.store.claim().await.unwrap().unwrap().lease;
        }
        assert_eq!(next.source, Source::Task, "after an hour it goes by who came first");
    })
    .await;
}

#[tokio::test]
async fn p33_the_same_guid_of_two_installations_is_two_rows() {
    inbox(async |t| {
        let first = t.put(delivery(1, 1)).await;
        let second = t.put(NewDelivery { installation: InstallationId(2), ..delivery(1, 1) }).await;
        assert_ne!(first, second);
    })
    .await;
}

#[tokio::test]
async fn what_was_received_comes_back_byte_for_byte() {
    inbox(async |t| {
        let payload = Bytes::from(format!("{{\"emoji\":\"\u{1f41d}\",\"pad\":\"{}\"}}", "x".repeat(100_000)));
        let id = t.put(NewDelivery { payload: payload.clone(), ..delivery(1, 1) }).await;
        assert_eq!(t.store.delivery(id).await.unwrap().unwrap().payload.unpack().unwrap(), payload);
    })
    .await;
}

#[tokio::test]
async fn p27_a_nul_in_a_name_is_stored_not_refused() {
    inbox(async |t| {
        let id = t.put(NewDelivery { action: Some("open\0ed".into()), ..delivery(1, 1) }).await;
        assert_eq!(t.store.delivery(id).await.unwrap().unwrap().row.action.as_deref(), Some("open\u{fffd}ed"));
    })
    .await;
}

#[tokio::test]
async fn work_is_claimed_once_and_in_order() {
    inbox(async |t| {
        let first = t.put(delivery(1, 1)).await;
        t.pass(Duration::from_secs(1));
        let second = t.put(delivery(2, 2)).await;
        let claimed = t.store.claim().await.unwrap().unwrap();
        assert_eq!(claimed.lease.id, first.0);
        assert_eq!(t.store.claim().await.unwrap().unwrap().lease.id, second.0);
        assert!(t.store.claim().await.unwrap().is_none());
        t.store.finish(claimed.lease, &done()).await.unwrap();
        assert_eq!(t.status(first).await, Status::Completed);
        assert_eq!(t.status(second).await, Status::Running);
    })
    .await;
}

#[tokio::test]
async fn at_most_one_piece_of_work_per_pull_request_runs_whatever_it_came_from() {
    inbox(async |t| {
        t.put(delivery(1, 1)).await;
        t.put(delivery(2, 1)).await;
        t.store.enqueue(&task(1)).await.unwrap();
        let running = t.store.claim().await.unwrap().unwrap();
        assert!(t.store.claim().await.unwrap().is_none(), "two at once on one pull request");
        t.store.finish(running.lease, &done()).await.unwrap();
        assert!(t.store.claim().await.unwrap().is_some());
        assert!(t.store.claim().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn workers_that_claim_at_the_same_time_never_share_a_pull_request() {
    inbox(async |t| {
        for n in 0..12 {
            t.put(delivery(n, i64::from(n % 3) + 1)).await;
        }
        let claims = (0..12).map(|_| t.store.claim());
        let claimed: Vec<_> = join_all(claims).await.into_iter().filter_map(|claim| claim.unwrap()).collect();
        assert_eq!(claimed.len(), 3, "one per pull request");
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_is_not_kept_goes_to_somebody_else_and_the_first_can_write_nothing() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        let asleep = t.store.claim().await.unwrap().unwrap();
        t.pass(LEASE / 2);
        t.store.heartbeat(asleep.lease).await.unwrap();
        t.pass(LEASE / 2 + Duration::from_secs(1));
        assert!(t.store.claim().await.unwrap().is_none(), "a heartbeat keeps the lease");
        t.pass(LEASE);
        let awake = t.store.claim().await.unwrap().unwrap();
        assert_eq!(awake.lease.id, asleep.lease.id);

        assert!(matches!(t.store.heartbeat(asleep.lease).await, Err(StoreError::Fenced)));
        assert!(matches!(t.store.still_mine(asleep.lease).await, Err(StoreError::Fenced)));
        assert!(matches!(t.store.finish(asleep.lease, &done()).await, Err(StoreError::Fenced)));
        assert_eq!(t.status(id).await, Status::Running);
        t.store.finish(awake.lease, &done()).await.unwrap();

        let attempts = t.store.delivery(id).await.unwrap().unwrap().attempts;
        let results: Vec<_> = attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
        assert_eq!(results, [Some("lost"), Some("completed")]);
    })
    .await;
}

#[tokio::test]
async fn eight_failures_bury_it_with_the_cause_and_a_redelivery_digs_it_out() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        for attempt in 1..=MAX_ATTEMPTS {
            let claimed = t.store.claim().await.unwrap().unwrap();
            assert_eq!(claimed.attempts, i64::from(attempt));
            t.store.finish(claimed.lease, &failed()).await.unwrap();
            t.pass(Duration::from_secs(6));
        }
        let dead = t.store.delivery(id).await.unwrap().unwrap();
        assert_eq!(dead.row.status, Status::Dead);
        assert_eq!(dead.row.last_error.as_deref(), Some("no luck"));
        assert_eq!(dead.attempts.len(), 8);
        assert!(t.store.claim().await.unwrap().is_none());

        assert_eq!(t.accept(delivery(1, 1)).await, Accepted::Requeued(id));
        assert_eq!(t.store.claim().await.unwrap().unwrap().attempts, 1, "attempts from 0");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_vanishes_eight_times_over_one_delivery_buries_it() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        for _ in 0..MAX_ATTEMPTS {
            assert!(t.store.claim().await.unwrap().is_some());
            t.pass(LEASE + Duration::from_secs(1));
        }
        assert!(t.store.claim().await.unwrap().is_none());
        assert_eq!(t.status(id).await, Status::Dead);
    })
    .await;
}

#[tokio::test]
async fn parking_does_not_count_and_ends_after_three_days() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        let parked = End::Parked { wait: Duration::from_secs(3600), error: "GitHub is unreachable".into() };
        for _ in 0..=72 {
            let claimed = t.store.claim().await.unwrap().unwrap();
            assert_eq!(claimed.attempts, 1);
            assert_ne!(t.status(id).await, Status::Dead);
            t.store.finish(claimed.lease, &parked).await.unwrap();
            t.pass(Duration::from_secs(3601));
        }
        assert_eq!(t.status(id).await, Status::Dead);
    })
    .await;
}

#[tokio::test]
async fn p31_p32_a_delivery_sent_again_is_tried_now_if_it_failed_and_left_alone_if_it_runs_or_ran() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        let running = t.store.claim().await.unwrap().unwrap();
        assert_eq!(t.accept(delivery(1, 1)).await, Accepted::Duplicate(id));
        t.store.still_mine(running.lease).await.unwrap();

        let wait = Duration::from_secs(600);
        t.store.finish(running.lease, &End::Failed { wait, error: "no luck".into() }).await.unwrap();
        assert!(t.store.claim().await.unwrap().is_none());
        assert_eq!(t.accept(delivery(1, 1)).await, Accepted::Duplicate(id));
        let again = t.store.claim().await.unwrap().expect("tried now");
        assert_eq!(again.attempts, 2, "attempts go on");

        t.store.finish(again.lease, &done()).await.unwrap();
        assert_eq!(t.accept(delivery(1, 1)).await, Accepted::Duplicate(id));
        assert!(t.store.claim().await.unwrap().is_none());
    })
    .await;
}

#[tokio::test]
async fn work_handed_back_is_as_if_never_claimed() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        let claimed = t.store.claim().await.unwrap().unwrap();
        t.store.finish(claimed.lease, &End::HandedBack).await.unwrap();
        assert_eq!(t.status(id).await, Status::Queued);
        assert_eq!(t.store.claim().await.unwrap().unwrap().attempts, 1);
    })
    .await;
}

#[tokio::test]
async fn a_task_of_the_same_kind_and_key_is_joined_until_it_is_finished() {
    inbox(async |t| {
        let first = t.store.enqueue(&task(1)).await.unwrap();
        assert_eq!(t.store.enqueue(&task(1)).await.unwrap(), first);
        let claimed = t.store.claim().await.unwrap().unwrap();
        assert_eq!((claimed.lease.source, claimed.lease.id), (Source::Task, first.0));
        t.store.finish(claimed.lease, &done()).await.unwrap();
        assert_ne!(t.store.enqueue(&task(1)).await.unwrap(), first);
    })
    .await;
}

#[tokio::test]
async fn only_finished_failed_and_dead_deliveries_can_be_queued_again_by_hand() {
    inbox(async |t| {
        let id = t.put(delivery(1, 1)).await;
        assert_eq!(t.store.redeliver(id).await.unwrap(), Redelivered::Busy);
        let claimed = t.store.claim().await.unwrap().unwrap();
        assert_eq!(t.store.redeliver(id).await.unwrap(), Redelivered::Busy);
        t.store.finish(claimed.lease, &done()).await.unwrap();
        assert_eq!(t.store.redeliver(id).await.unwrap(), Redelivered::Queued);
        assert_eq!(t.store.redeliver(DeliveryId(999)).await.unwrap(), Redelivered::Unknown);
    })
    .await;
}

#[tokio::test]
async fn after_a_crash_of_the_only_process_everything_that_ran_is_due_at_once() {
    inbox(async |t| {
        t.put(delivery(1, 1)).await;
        t.store.claim().await.unwrap().unwrap();
        assert!(t.store.claim().await.unwrap().is_none());
        assert_eq!(t.store.reclaim().await.unwrap(), 1);
        assert!(t.store.claim().await.unwrap().is_some());
    })
    .await;
}

#[tokio::test]
async fn a_second_process_on_the_same_sqlite_file_is_refused() {
    inbox(async |t| {
        if t.database.is_postgres() {
            return;
        }
        let error = Store::open(&t.database.url, Clock::system()).await.err().expect("refused").to_string();
        assert!(error.contains("another nectr is serving"), "{error}");

        let path = nectr::store::sqlite_path(&t.database.url).unwrap();
        let other_name = path.with_file_name("the-same.db");
        std::os::unix::fs::symlink(&path, &other_name).unwrap();
        let by_another_name = format!("sqlite://{}", other_name.display());
        let error = Store::open(&by_another_name, Clock::system()).await.err().expect("refused").to_string();
        assert!(error.contains("another nectr is serving"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn writes_to_github_stay_within_the_minute_and_the_hour() {
    inbox(async |t| {
        let admit = async |per_minute, per_hour| t.store.admit_write(per_minute, per_hour).await.unwrap();
        for turn in [0, 1100, 2200] {
            assert_eq!(admit(3, 5).await, Place::Taken(millis(turn)));
        }
        assert_eq!(admit(3, 5).await, Place::NoneFor(millis(60_000)), "the minute is full");
        t.pass(millis(60_000));
        assert_eq!(admit(3, 5).await, Place::Taken(millis(0)));
        assert_eq!(admit(3, 5).await, Place::Taken(millis(1100)));
        assert_eq!(admit(3, 5).await, Place::NoneFor(millis(3_540_000)), "the hour is full");
        assert_eq!(admit(0, 0).await, Place::Taken(millis(0)), "0 is off");
    })
    .await;
}

#[tokio::test]
async fn p44_writes_to_github_are_a_second_apart_and_few_wait_for_that() {
    inbox(async |t| {
        let admit = async || t.store.admit_write(80, 500).await.unwrap();
        for place in 0..28 {
            assert_eq!(admit().await, Place::Taken(millis(place * 1100)));
        }
        assert_eq!(admit().await, Place::NoneFor(millis(800)));
        t.pass(millis(800));
        assert_eq!(admit().await, Place::Taken(millis(30_000)));
        t.pass(millis(31_100));
        assert_eq!(admit().await, Place::Taken(millis(0)));

        // What was stamped an hour later than it is now is no reason to wait for an hour.
        t.clock.set_back(Duration::from_secs(3600));
        assert_eq!(admit().await, Place::Taken(millis(0)));
        assert_eq!(admit().await, Place::Taken(millis(1100)));
        assert_eq!(t.store.admit_write(0, 500).await.unwrap(), Place::Taken(millis(0)), "0 is off");
    })
    .await;
}

#[tokio::test]
async fn retention_takes_finished_tasks_and_leaves_those_that_wait() {
    inbox(async |t| {
        t.store.enqueue(&task(1)).await.unwrap();
        let claimed = t.store.claim().await.unwrap().unwrap();
        t.store.finish(claimed.lease, &done()).await.unwrap();
        t.store.enqueue(&task(2)).await.unwrap();
        assert_eq!(t.store.prune_rest(30).await.unwrap(), 0);
        t.pass(Duration::from_secs(86_400) * 31);
        assert_eq!(t.store.prune_rest(30).await.unwrap(), 2, "the task and its attempt");
        assert!(t.store.claim().await.unwrap().is_some(), "what waits stays");
    })
    .await;
}

#[tokio::test]
async fn retention_takes_finished_deliveries_and_dead_ones_three_times_later() {
    inbox(async |t| {
        let finished = t.put(delivery(1, 1)).await;
        let claimed = t.store.claim().await.unwrap().unwrap();
        t.store.finish(claimed.lease, &done()).await.unwrap();
        let dead = t.put(delivery(2, 2)).await;
        for _ in 0..MAX_ATTEMPTS {
            let claimed = t.store.claim().await.unwrap().unwrap();
            t.store.finish(claimed.lease, &failed()).await.unwrap();
            t.pass(Duration::from_secs(6));
        }
        let waiting = t.put(delivery(3, 3)).await;
        let day = Duration::from_secs(86_400);
        t.pass(day * 31);
        assert_eq!(t.store.prune_deliveries(30, 10).await.unwrap(), 1);
        assert!(t.store.delivery(finished).await.unwrap().is_none());
        t.pass(day * 60);
        assert_eq!(t.store.prune_deliveries(30, 10).await.unwrap(), 1);
        assert!(t.store.delivery(dead).await.unwrap().is_none());
        assert!(t.store.delivery(waiting).await.unwrap().is_some());
    })
    .await;
}

/// What is waiting, running and failed when the clock is set back, with how much time it has left.
async fn before_the_clock_is_set_back(t: &Ledger) -> [DeliveryId; 3] {
    let ids = [t.put(delivery(1, 1)).await, t.put(delivery(2, 2)).await, t.put(delivery(3, 3)).await];
    let failing = t.store.claim().await.unwrap().unwrap();
    t.store.finish(failing.lease, &failed()).await.unwrap();
    t.store.claim().await.unwrap().unwrap();
    ids
}

async fn claimed_next(t: &Ledger) -> Option<i64> {
    t.store.claim().await.unwrap().map(|claimed| claimed.lease.id)
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    inbox(async |t| {
        let [failed, running, waiting] = before_the_clock_is_set_back(t).await;
        t.clock.set_back(Duration::from_secs(3600));
        assert_eq!(claimed_next(t).await, Some(waiting.0), "what was due is due");
        assert_eq!(claimed_next(t).await, None);
        t.pass(Duration::from_secs(5));
        assert_eq!(claimed_next(t).await, Some(failed.0), "its 5 s are over");
        t.pass(LEASE - Duration::from_secs(6));
        assert_eq!(claimed_next(t).await, None);
        t.pass(Duration::from_secs(1));
        assert_eq!(
            claimed_next(t).await,
            Some(running.0),
            "its worker has not been heard of for as long as a lease lasts"
        );
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_set_back_while_nobody_ran_holds_nothing_up() {
    let clock = Clock::manual(noon());
    let database = Database::fresh().await;
    let t = Ledger { store: database.store(&clock).await, clock: clock.clone(), database };
    let [failed, _, waiting] = before_the_clock_is_set_back(&t).await;
    let Ledger { database, store, .. } = t;
    drop(store);
    clock.set_back(Duration::from_secs(3600));

    let t = Ledger { store: database.store(&clock).await, clock, database };
    t.store.recall_time().await.unwrap();
    assert_eq!(claimed_next(&t).await, Some(waiting.0));
    t.pass(Duration::from_secs(5));
    assert_eq!(claimed_next(&t).await, Some(failed.0));
    let Ledger { database, store, .. } = t;
    drop(store);
    database.remove().await;
}

#[tokio::test]
async fn clocks_that_differ_a_little_move_nothing() {
    inbox(async |t| {
        let [failed, ..] = before_the_clock_is_set_back(t).await;
        let due = t.store.delivery(failed).await.unwrap().unwrap().row.next_attempt_at;
        t.clock.set_back(Duration::from_secs(4));
        assert_eq!(claimed_next(t).await, None);
        assert_eq!(t.store.delivery(failed).await.unwrap().unwrap().row.next_attempt_at, due);
    })
    .await;
}
