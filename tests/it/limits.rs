//! When GitHub says "not now": what waits, for how long, what counts as an attempt, and what is given up.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use nectr::{
    sandbox::{Failure, NewPull, Pr},
    store::deliveries::{DeliveryDetail, DeliveryRow, Status},
};
use sea_orm::{ConnectionTrait, DbBackend};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::support::{
    SHOP, T,
    database::{Database, noon},
    hours, minutes, nectr, nectr_with, populate,
};

const PULL: &str = "GET /repos/*/*/pulls/*";
const FILES: &str = "GET /repos/*/*/pulls/*/files";
const CREATE: &str = "POST /repos/*/*/pulls/*/reviews";
const SUBMIT: &str = "POST /repos/*/*/pulls/*/reviews/*/events";

fn clean(pr: NewPull) -> NewPull {
    pr.adds("src/price.rs", "pub fn price() -> u32 {\n    3\n}\n")
}

/// How often the bot asked GitHub anything.
fn calls_of_the_bot(t: &T) -> usize {
    t.github.calls().iter().filter(|call| call.user.as_deref() == Some("nectr-bot")).count()
}

/// Connected, the ping delivered, and one pull request whose delivery waits.
async fn one_waiting(t: &T) -> Pr {
    t.connected().await;
    t.deliver().await;
    let pr = t.open_pull(clean);
    t.deliver().await;
    t.github.forget_calls();
    pr
}

async fn newest(t: &T) -> DeliveryRow {
    t.deliveries().await.remove(0)
}

async fn detail(t: &T) -> DeliveryDetail {
    let id = newest(t).await.id;
    t.app.store.delivery(id).await.unwrap().unwrap()
}

/// Parked: to be tried at `in_seconds` from now, and no attempt used up.
#[track_caller]
fn assert_parked(t: &T, row: &DeliveryRow, in_seconds: i64, error: &str) {
    assert_eq!((row.status, row.attempts), (Status::Failed, 0), "{row:?}");
    assert_eq!(row.last_error.as_deref(), Some(error));
    assert_eq!(row.next_attempt_at, Some(t.clock.now() + TimeDelta::seconds(in_seconds)));
}

#[tokio::test]
async fn p43_retry_after_is_waited_for_without_a_single_request() {
    for status in [429, 403] {
        nectr(async |t| {
            let pr = one_waiting(t).await;
            let failure = match status {
                429 => Failure::RateLimited { retry_after: Duration::from_secs(120) },
                _ => Failure::Secondary,
            };
            let wait = if status == 429 { 120 } else { 60 };
            t.github.fail_next(FILES, failure);
            t.work().await;
            let error = format!("GitHub rate limit reached, retry after {wait} s");
            assert_parked(t, &newest(t).await, wait, &error);

            t.github.forget_calls();
            let further = t.open_pull(clean);
            t.settle().await;
            assert_eq!(calls_of_the_bot(t), 0, "one refusal holds everything the token does");
            assert_eq!(newest(t).await.status, Status::Failed);
            t.pass(Duration::from_secs(u64::try_from(wait).unwrap() - 1)).work().await;
            assert_eq!(calls_of_the_bot(t), 0);
            t.pass(Duration::from_secs(1)).work().await;
            t.take_review(pr);
            t.take_review(further);
            assert_eq!(newest(t).await.attempts, 1, "waiting was no attempt");
        })
        .await;
    }
}

#[tokio::test]
async fn p43_a_secondary_limit_that_goes_on_is_asked_about_less_and_less() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        let mut asked = Vec::new();
        for _ in 0..5 {
            t.github.fail_next("GET /**", Failure::Secondary);
            t.work().await;
            let next = newest(t).await.next_attempt_at.unwrap();
            let wait = next - t.clock.now();
            asked.push(wait.num_seconds());
            t.clock.advance(wait.to_std().unwrap());
        }
        assert_eq!(asked, [60, 120, 240, 480, 900]);
        t.work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn p43_a_spent_quota_is_waited_out_until_its_reset() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        let reset = t.clock.now() + TimeDelta::minutes(40);
        t.github.rate_limit(&t.github.token_of("nectr-bot"), 2, reset);
        t.work().await;
        let row = newest(t).await;
        assert_eq!(row.next_attempt_at, Some(reset), "{row:?}");
        assert_eq!(row.attempts, 0);
        t.github.forget_calls();
        t.pass(minutes(39)).work().await;
        assert_eq!(calls_of_the_bot(t), 0);
        t.pass(minutes(1)).work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn p43_a_limit_on_one_token_does_not_stop_another() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        t.github.fail_next(PULL, Failure::RateLimited { retry_after: Duration::from_secs(600) });
        t.settle().await;
        assert_eq!(octavia.get("/api/v1/repos").await.status, 200, "octavia has a token of her own");
        t.pass(minutes(10)).work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn p43_a_limit_between_draft_and_submission_leaves_one_review_in_the_end() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        t.github.fail_next(SUBMIT, Failure::Secondary);
        t.work().await;
        assert_eq!(t.github.pending_reviews(pr).len(), 1);
        t.pass(minutes(1)).work().await;
        t.take_review(pr);
        assert_eq!(t.github.count(CREATE), 1, "the draft was found again");
        assert_eq!(t.github.pending_reviews(pr), []);
    })
    .await;
}

#[tokio::test]
async fn p44_our_own_limit_of_writes_is_kept_and_costs_no_attempts() {
    nectr_with(&[("GITHUB_WRITES_PER_MINUTE", "4")], async |t| {
        t.connected().await;
        let pulls: Vec<_> = (0..5).map(|_| t.open_pull(clean)).collect();
        let mut minutes_taken = 0;
        loop {
            t.github.forget_calls();
            t.settle().await;
            let writes = t.github.calls().iter().filter(|call| call.method == "POST").count();
            assert!(writes <= 4, "{writes} writes within one minute");
            if !t.deliveries().await.iter().any(|row| row.status == Status::Failed) {
                break;
            }
            t.pass(minutes(1));
            minutes_taken += 1;
            assert!(minutes_taken < 10);
        }
        for pr in pulls {
            t.take_review(pr);
            assert_eq!(t.github.pending_reviews(pr), []);
        }
        assert!(minutes_taken >= 2, "ten writes do not fit into two minutes");
        assert!(t.deliveries().await.iter().all(|row| row.attempts == 1));
    })
    .await;
}

#[tokio::test]
async fn p44_the_two_writes_of_a_review_are_a_second_apart() {
    nectr_with(&[("GITHUB_WRITES_PER_MINUTE", "80")], async |t| {
        t.connected().await;
        let pr = t.open_pull(clean);
        let began = Instant::now();
        t.settle().await;
        assert_eq!((t.github.count(CREATE), t.github.count(SUBMIT)), (1, 1));
        assert!(began.elapsed() >= Duration::from_secs(1));
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn p44_two_processes_on_one_database_share_the_limit_of_writes() {
    let database = Database::fresh().await;
    if !database.is_postgres() {
        // Only PostgreSQL is shared by several processes.
        return;
    }
    let clock = nectr::domain::Clock::manual(noon());
    let github = nectr::sandbox::Sandbox::start_on(0, clock.clone()).await.unwrap();
    populate(&github);
    let limits = [("GITHUB_WRITES_PER_MINUTE", "6")];
    let first = T::start(&github, &clock, &database.url, &limits).await;
    let second = T::start(&github, &clock, &database.url, &limits).await;
    first.connected().await;
    let pulls: Vec<_> = (0..8).map(|_| first.open_pull(clean)).collect();
    first.deliver().await;
    let mut rounds = 0;
    while github.unread_reviews().len() < pulls.len() {
        github.forget_calls();
        tokio::join!(first.work(), second.work());
        let writes = github.calls().iter().filter(|call| call.method == "POST").count();
        assert!(writes <= 6, "{writes} writes within one minute by both together");
        clock.advance(minutes(1));
        rounds += 1;
        assert!(rounds < 20);
    }
    for pr in pulls {
        first.take_review(pr);
        assert_eq!(github.pending_reviews(pr), []);
    }
    first.shut_down().await;
    second.shut_down().await;
    database.remove().await;
}

#[tokio::test]
async fn p59_a_token_that_github_refuses_parks_deliveries_until_it_works_again() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        t.github.fail_times(50, "GET /**", Failure::Status(401, json!({"message": "Bad credentials"}).to_string()));
        for _ in 0..20 {
            t.work().await;
            assert_parked(t, &newest(t).await, 300, "GitHub rejected our credentials");
            t.pass(minutes(5));
        }
        t.github.recover();
        t.work().await;
        t.take_review(pr);
        assert_eq!((newest(t).await.status, newest(t).await.attempts), (Status::Completed, 1));
    })
    .await;
}

#[tokio::test]
async fn p59_a_revoked_token_parks_deliveries_for_three_days_at_most() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        t.open_pull(clean);
        t.github.revoke(&t.github.token_of("nectr-bot"));
        t.settle().await;
        assert_parked(t, &newest(t).await, 300, "GitHub rejected our credentials");
        t.pass(hours(72)).work().await;
        let row = newest(t).await;
        assert_eq!((row.status, row.attempts), (Status::Dead, 1));
        assert_eq!(row.last_error.as_deref(), Some("GitHub rejected our credentials"));
        drop(octavia);
    })
    .await;
}

#[tokio::test]
async fn p59_a_token_that_may_not_do_this_parks_the_delivery_with_githubs_words() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        let words = json!({"message": "Resource not accessible by personal access token"}).to_string();
        t.github.fail_next(FILES, Failure::Status(403, words));
        t.work().await;
        let error = "GitHub does not allow this: Resource not accessible by personal access token";
        assert_parked(t, &newest(t).await, 300, error);
        t.pass(minutes(5)).work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn an_outage_is_waited_out_for_up_to_three_days() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        t.github.outage(true);
        for hour in 0..72 {
            t.work().await;
            let row = newest(t).await;
            assert_eq!((row.status, row.attempts), (Status::Failed, 0), "after {hour} h");
            t.pass(hours(1));
        }
        t.github.outage(false);
        t.work().await;
        t.take_review(pr);
        assert_eq!(newest(t).await.status, Status::Completed);
    })
    .await;
}

#[tokio::test]
async fn after_three_days_of_outage_a_delivery_is_dead_and_can_be_queued_again() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        t.deliver().await;
        t.github.outage(true);
        t.work().await;
        t.pass(hours(71)).work().await;
        assert_eq!(newest(t).await.status, Status::Failed);
        t.pass(hours(1)).work().await;
        let row = newest(t).await;
        assert_eq!((row.status, row.next_attempt_at), (Status::Dead, None));
        assert!(row.last_error.as_deref().unwrap().starts_with("GitHub is unreachable: "), "{:?}", row.last_error);
        assert!(row.finished_at.is_some());

        // Queued again it has three days again.
        t.github.outage(false);
        let octavia = {
            drop(octavia);
            t.sign_in("octavia").await
        };
        let answer = octavia.post(&format!("/api/v1/deliveries/{}/redeliver", row.id)).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        t.github.outage(true);
        t.work().await;
        assert_eq!((newest(t).await.status, newest(t).await.attempts), (Status::Failed, 0));
        t.github.outage(false);
        t.pass(minutes(1)).work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn other_failures_are_eight_attempts_over_time_and_then_dead_with_the_cause() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        t.github.fail_times(100, FILES, Failure::Status(400, json!({"message": "Problems parsing JSON"}).to_string()));
        for attempt in 1..=8 {
            t.work().await;
            let row = newest(t).await;
            assert_eq!(row.attempts, attempt);
            assert_eq!(row.last_error.as_deref(), Some("GitHub refused: Problems parsing JSON"));
            if attempt < 8 {
                assert_eq!(row.status, Status::Failed);
                let wait = (row.next_attempt_at.unwrap() - t.clock.now()).num_seconds();
                assert!((5..=3600).contains(&wait), "attempt {attempt} waits {wait} s");
            }
            t.pass(hours(1));
        }
        let detail = detail(t).await;
        assert_eq!((detail.row.status, detail.row.next_attempt_at), (Status::Dead, None));
        assert_eq!(detail.attempts.iter().map(|a| a.number).collect::<Vec<_>>(), (1..=8).collect::<Vec<_>>());
        assert!(detail.attempts.iter().all(|a| a.result.as_deref() == Some("failed") && a.finished_at.is_some()));
        t.work().await;
        assert_eq!(newest(t).await.attempts, 8, "the dead stay dead");

        // GitHub's button brings it back, with attempts from 0.
        t.github.recover();
        let answers = t.github.redeliver(&detail.row.guid).await;
        assert_eq!(answers[0].answer.status, Some(202));
        t.work().await;
        t.take_review(pr);
        assert_eq!((newest(t).await.status, newest(t).await.attempts), (Status::Completed, 1));
    })
    .await;
}

#[tokio::test]
async fn a_delivery_that_is_damaged_on_disk_dies_in_time_and_holds_up_nobody() {
    nectr(async |t| {
        one_waiting(t).await;
        let damaged = newest(t).await.id;
        let beside = sea_orm::Database::connect(t.app.config.database_url.expose_secret()).await.unwrap();
        let bytes = if beside.get_database_backend() == DbBackend::Postgres { "'\\x00'" } else { "X'00'" };
        let sql = format!("UPDATE deliveries SET payload = {bytes} WHERE id = {}", damaged.0);
        beside.execute_unprepared(&sql).await.unwrap();
        beside.close().await.unwrap();

        let other = t.open_pull(clean);
        t.settle().await;
        t.take_review(other);
        for _ in 0..7 {
            t.pass(hours(1)).work().await;
        }
        let rows = t.deliveries().await;
        let row = rows.iter().find(|row| row.id == damaged).unwrap();
        assert_eq!((row.status, row.attempts), (Status::Dead, 8));
        assert!(row.last_error.as_deref().unwrap().contains("frame"), "{:?}", row.last_error);
    })
    .await;
}

#[tokio::test]
async fn the_button_on_github_tries_a_failed_delivery_now() {
    nectr(async |t| {
        let pr = one_waiting(t).await;
        t.github.fail_next(FILES, Failure::Status(502, "bad gateway".into()));
        t.work().await;
        let row = newest(t).await;
        assert_eq!(row.status, Status::Failed);
        let answers = t.github.redeliver(&row.guid).await;
        assert_eq!(answers[0].answer.status, Some(200));
        t.work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn p59_a_repository_or_pull_request_that_is_gone_is_finished() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        for status in [404, 410] {
            let pr = t.open_pull(clean);
            t.github.fail_next(PULL, Failure::Status(status, json!({"message": "Not Found"}).to_string()));
            t.settle().await;
            let row = newest(t).await;
            assert_eq!((row.status, row.outcome.as_deref()), (Status::Completed, Some("gone")), "{status}");
            assert_eq!(t.github.take_reviews(pr), []);
        }
        // While it is being reviewed.
        let pr = t.open_pull(clean);
        t.github.fail_next(FILES, Failure::Status(404, json!({"message": "Not Found"}).to_string()));
        t.settle().await;
        let row = newest(t).await;
        assert_eq!((row.status, row.outcome.as_deref()), (Status::Completed, Some("gone")));
        assert_eq!(t.github.take_reviews(pr), []);

        t.open_pull(clean);
        t.deliver().await;
        t.github.delete_repo(SHOP);
        t.work().await;
        let row = newest(t).await;
        assert_eq!((row.status, row.outcome.as_deref()), (Status::Completed, Some("gone")));
    })
    .await;
}

#[tokio::test]
async fn a_repository_that_took_the_name_of_another_is_not_reviewed() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        t.deliver().await;
        t.github.delete_repo(SHOP);
        t.github.repo(SHOP).private().admin("octavia").write("nectr-bot");
        let other = t.github.open_pull(SHOP, |pr| clean(pr).author("sam"));
        assert_eq!(pr.number, other.number);
        t.work().await;
        assert_eq!(t.github.take_reviews(other), []);
        let row = newest(t).await;
        assert_eq!((row.status, row.outcome.as_deref()), (Status::Completed, Some("gone")));
        drop(octavia);
    })
    .await;
}

#[tokio::test]
async fn work_that_waits_when_its_connection_ends_is_dropped() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(clean);
        t.deliver().await;
        let path = format!("/api/v1/repos/{SHOP}/pulls/{}/review", pr.number);
        assert_eq!(octavia.post(&path).await.status, 202);
        assert_eq!(octavia.delete(&format!("/api/v1/repos/{SHOP}/install")).await.status, 200);
        t.github.forget_calls();
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), []);
        assert_eq!(calls_of_the_bot(t), 0);
        let row = newest(t).await;
        assert_eq!((row.status, row.outcome.as_deref()), (Status::Ignored, Some("disconnected")));
        let queue = octavia.see("/health").await["queue"].clone();
        assert_eq!(queue, json!({"queued": 0, "running": 0, "dead": 0, "oldest_seconds": 0}));
    })
    .await;
}
