//! The cache on a clock that moves only when told to.

#![allow(clippy::unwrap_used)]

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use PrState::{Closed, Merged, Open};
use tokio::sync::Notify;

use super::*;

/// The cache, its clock, and how often GitHub was asked.
struct Bench {
    states: PrStates,
    clock: Clock,
    calls: AtomicUsize,
}

fn bench() -> Bench {
    let clock = Clock::manual(stamp(1_000));
    Bench { states: PrStates::new(clock.clone()), clock, calls: AtomicUsize::new(0) }
}

/// GitHub's stamp `n` seconds into the story.
fn stamp(n: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_700_000_000 + n, 0).unwrap()
}

fn repo(name: &str) -> RepoName {
    RepoName::new("Acme", name).unwrap()
}

impl Bench {
    /// Asks for `acme/api#number`; GitHub would say `state`, stamped `at`.
    async fn ask(&self, number: i64, state: PrState, at: i64) -> Known {
        let fetch = async {
            self.calls.fetch_add(1, Ordering::SeqCst);
            Ok::<_, ()>((state, stamp(at)))
        };
        self.states.get(&repo("api"), PrNumber(number), fetch).await.unwrap()
    }

    fn learn(&self, number: i64, state: PrState, at: i64) {
        self.states.learn(&repo("api"), PrNumber(number), state, stamp(at));
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// How many entries there is room for, of those there are.
    fn entries(&self) -> u64 {
        self.states.entries.run_pending_tasks();
        self.states.entries.entry_count()
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn open_is_remembered_for_a_minute_closed_and_merged_for_five() {
    for (state, lifetime) in [(Open, 60), (Closed, 300), (Merged, 300)] {
        let bench = bench();
        let first = bench.ask(1, state, 0).await;
        assert_eq!(first, Known { state, cached: false, expires_in: lifetime });
        bench.pass(lifetime - 1);
        assert_eq!(bench.ask(1, state, 0).await, Known { state, cached: true, expires_in: 1 });
        assert_eq!(bench.calls(), 1);
        bench.pass(2);
        assert!(!bench.ask(1, state, 0).await.cached);
        assert_eq!(bench.calls(), 2);
    }
}

#[tokio::test]
async fn the_501st_entry_takes_the_place_of_the_least_recently_used_one() {
    let bench = bench();
    for number in 1..=500 {
        bench.ask(number, Merged, 0).await;
    }
    assert!(bench.ask(1, Merged, 0).await.cached, "touched: number 2 is now the oldest");
    bench.ask(501, Merged, 0).await;
    assert_eq!(bench.entries(), 500);

    let calls = bench.calls();
    for number in (3..=501).chain([1]) {
        assert!(bench.ask(number, Merged, 0).await.cached, "{number}");
    }
    assert_eq!(bench.calls(), calls);
    assert!(!bench.ask(2, Merged, 0).await.cached);
}

#[tokio::test]
async fn what_deliveries_teach_takes_room_like_everything_else() {
    let bench = bench();
    for number in 1..=1_200 {
        bench.learn(number, Open, 0);
    }
    assert_eq!(bench.entries(), 500);
}

#[tokio::test]
async fn a_hundred_who_ask_at_once_make_one_call() {
    let bench = bench();
    for _ in 0..2 {
        let before = bench.calls();
        let asks = (0..100).map(|_| async {
            let fetch = async {
                tokio::task::yield_now().await;
                bench.calls.fetch_add(1, Ordering::SeqCst);
                Ok::<_, ()>((Open, stamp(0)))
            };
            bench.states.get(&repo("api"), PrNumber(1), fetch).await.unwrap()
        });
        let known = futures_util::future::join_all(asks).await;
        assert!(known.iter().all(|known| known.state == Open));
        assert_eq!(bench.calls() - before, 1);
        // The same again for an entry that was there and is over.
        bench.pass(61);
    }
}

#[tokio::test]
async fn an_error_reaches_everybody_who_waited_and_is_not_kept() {
    let bench = bench();
    let asks = (0..100).map(|_| async {
        let fetch = async {
            tokio::task::yield_now().await;
            bench.calls.fetch_add(1, Ordering::SeqCst);
            Err("down")
        };
        bench.states.get(&repo("api"), PrNumber(1), fetch).await
    });
    let answers = futures_util::future::join_all(asks).await;
    assert!(answers.iter().all(|answer| answer.as_ref().is_err_and(|error| **error == "down")));
    assert_eq!(bench.calls(), 1);
    assert!(!bench.ask(1, Open, 0).await.cached, "asked again");
}

#[tokio::test]
async fn an_asker_who_leaves_takes_nobody_along() {
    let bench = Arc::new(bench());
    let started = Arc::new(Notify::new());
    let leader = tokio::spawn({
        let (bench, started) = (bench.clone(), started.clone());
        async move {
            let fetch = async {
                started.notify_one();
                std::future::pending::<Result<(PrState, DateTime<Utc>), ()>>().await
            };
            bench.states.get(&repo("api"), PrNumber(1), fetch).await
        }
    });
    started.notified().await;
    let follower = tokio::spawn({
        let bench = bench.clone();
        async move { bench.ask(1, Closed, 0).await }
    });
    tokio::task::yield_now().await;
    leader.abort();
    assert_eq!(follower.await.unwrap().state, Closed);
}

#[tokio::test]
async fn names_are_the_same_in_any_case_and_numbers_and_repositories_are_not() {
    let bench = bench();
    bench.ask(1, Open, 0).await;
    let shouted = RepoName::new("ACME", "API").unwrap();
    let fetch = async { Err::<(PrState, DateTime<Utc>), _>("asked GitHub") };
    assert!(bench.states.get(&shouted, PrNumber(1), fetch).await.unwrap().cached);
    for (name, number) in [("api", 2), ("apis", 1)] {
        let fetch = async { Err::<(PrState, DateTime<Utc>), _>("asked GitHub") };
        assert!(bench.states.get(&repo(name), PrNumber(number), fetch).await.is_err());
    }
}

#[tokio::test]
async fn a_delivery_teaches_and_an_older_one_does_not() {
    let bench = bench();
    bench.ask(1, Open, 10).await;
    bench.pass(30);
    bench.learn(1, Merged, 20);
    assert_eq!(bench.ask(1, Open, 10).await, Known { state: Merged, cached: true, expires_in: 300 });

    bench.learn(1, Open, 15);
    assert_eq!(bench.ask(1, Open, 10).await.state, Merged);
    bench.learn(1, Closed, 20);
    assert_eq!(bench.ask(1, Open, 10).await.state, Merged, "of the same second, and merged is final");
    assert_eq!(bench.calls(), 1);
}

#[tokio::test]
async fn a_delivery_may_teach_what_nobody_asked_yet() {
    let bench = bench();
    bench.learn(1, Closed, 20);
    bench.learn(1, Open, 20);
    assert_eq!(bench.ask(1, Merged, 0).await, Known { state: Open, cached: true, expires_in: 60 });
    assert_eq!(bench.calls(), 0);
}

/// Fetches `fetched`, and while GitHub's answer is under way a delivery teaches `taught`.
async fn overtaken(bench: &Bench, fetched: (PrState, i64), taught: (PrState, i64)) -> PrState {
    let fetch = async {
        bench.learn(1, taught.0, taught.1);
        Ok::<_, ()>((fetched.0, stamp(fetched.1)))
    };
    bench.states.get(&repo("api"), PrNumber(1), fetch).await.unwrap().state
}

#[tokio::test]
async fn an_answer_overtaken_by_a_newer_delivery_is_dropped() {
    for (fetched, taught, expected) in [
        ((Open, 10), (Closed, 20), Closed),
        ((Open, 20), (Closed, 20), Closed),
        ((Merged, 20), (Closed, 20), Merged),
        ((Open, 30), (Closed, 20), Open),
    ] {
        let bench = bench();
        assert_eq!(overtaken(&bench, fetched, taught).await, expected, "{fetched:?} {taught:?}");
        assert_eq!(
            bench.ask(1, Open, 0).await,
            Known { state: expected, cached: true, expires_in: lifetime(expected).as_secs() }
        );
    }
}

#[tokio::test]
async fn an_answer_overtaken_while_an_old_entry_stood_is_dropped_too() {
    let bench = bench();
    bench.ask(1, Open, 5).await;
    bench.pass(61);
    assert_eq!(overtaken(&bench, (Open, 10), (Closed, 20)).await, Closed);
}

#[tokio::test]
async fn once_an_entry_is_over_github_has_the_last_word() {
    let bench = bench();
    bench.learn(1, Closed, 500);
    bench.pass(301);
    assert_eq!(bench.ask(1, Open, 400).await.state, Open);
}

#[tokio::test]
async fn an_old_delivery_does_not_revive_an_entry_that_is_over() {
    let bench = bench();
    bench.ask(1, Closed, 500).await;
    bench.pass(301);
    bench.learn(1, Open, 400);
    let known = bench.ask(1, Closed, 500).await;
    assert_eq!((known.state, known.cached), (Closed, false));
}

#[tokio::test]
async fn writers_in_a_crowd_leave_no_more_than_500() {
    let bench = bench();
    let log = Mutex::new(Vec::new());
    futures_util::future::join_all((1..=2_000).map(|number| {
        let (bench, log) = (&bench, &log);
        async move {
            bench.ask(number, Open, 0).await;
            log.lock().unwrap().push(bench.states.entries.entry_count());
        }
    }))
    .await;
    assert!(log.lock().unwrap().iter().all(|count| *count <= 500));
}
