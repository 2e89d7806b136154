//! A review is posted exactly once, whatever becomes of the requests and of the worker that makes them.

use std::time::{Duration, Instant};

use nectr::sandbox::{
    Failure, NewPull, Pr, Review, ReviewState,
    http::{Request, Response},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::{Person, SHOP, T, hours, minutes, nectr, nectr_with};

const CREATE: &str = "POST /repos/*/*/pulls/*/reviews";
const SUBMIT: &str = "POST /repos/*/*/pulls/*/reviews/*/events";
const LIST: &str = "GET /repos/*/*/pulls/*/reviews";
const PULL: &str = "GET /repos/*/*/pulls/*";
const FILES: &str = "GET /repos/*/*/pulls/*/files";

fn warned(pr: NewPull) -> NewPull {
    pr.modifies("src/cart.js", "let a = 1;\n", "let a = 1;\ndebugger;\n")
}

fn clean(pr: NewPull) -> NewPull {
    pr.adds("src/price.rs", "pub fn price() -> u32 {\n    3\n}\n")
}

fn blocked(pr: NewPull) -> NewPull {
    pr.adds("tests/cart.test.js", "it.only('sums', () => {\n  expect(1).toBe(1);\n});\n")
}

fn bad_gateway() -> String {
    "<html>Unicorn!</html>".to_owned()
}

/// The marker nectr would put under a review of this head.
fn marker(head: &str) -> String {
    format!("<!-- nectr:v1 review head={head} base=main -->")
}

/// Somebody asks GitHub's API something about the reviews of a pull request.
async fn ask(t: &T, login: &str, pr: Pr, method: http::Method, below: &str, body: Option<Value>) -> Response {
    let url = format!("{}/repos/{SHOP}/pulls/{}/reviews{below}", t.github.api_url(), pr.number);
    let request = Request::new(method, url)
        .bearer(&t.github.token_of(login))
        .header("Accept", "application/vnd.github+json")
        .header("X-GitHub-Api-Version", "2022-11-28")
        .header("User-Agent", "a test");
    let request = match &body {
        Some(body) => request.json(body),
        None => request,
    };
    let answer = request.send().await.unwrap();
    assert!((200..300).contains(&answer.status), "{}", answer.text());
    answer
}

/// Somebody starts or, with an `event`, posts a review.
async fn write_review(t: &T, login: &str, pr: Pr, body: &str, event: Option<&str>) -> i64 {
    let mut review = json!({"commit_id": t.github.head_of(pr), "body": body});
    if let Some(event) = event {
        review["event"] = event.into();
    }
    ask(t, login, pr, http::Method::POST, "", Some(review)).await.json()["id"].as_i64().unwrap()
}

/// Runs the workers until nothing waits, letting time pass in between.
async fn until_done(t: &T) {
    for _ in 0..20 {
        t.settle().await;
        let waits = |row: &nectr::store::deliveries::DeliveryRow| row.next_attempt_at.is_some();
        if !t.deliveries().await.iter().any(waits) {
            return;
        }
        t.pass(minutes(10));
    }
    panic!("not done after hours: {:#?}", t.deliveries().await);
}

#[track_caller]
fn exactly_one(t: &T, pr: Pr) -> Review {
    let review = t.take_review(pr);
    assert_eq!(t.github.reviews(pr).len(), 1);
    assert_eq!(t.github.pending_reviews(pr), [], "a draft was left behind");
    review
}

/// Every way one request can go wrong quickly.
fn bad_answers() -> Vec<Failure> {
    vec![
        Failure::CutBefore,
        Failure::CutAfterWork,
        Failure::StatusAfterWork(502, bad_gateway()),
        Failure::StatusAfterWork(500, "{\"message\":\"Server Error\"}".to_owned()),
        Failure::Status(502, bad_gateway()),
        Failure::Status(503, bad_gateway()),
        Failure::StatusAfterWork(200, "not json".to_owned()),
    ]
}

#[tokio::test]
async fn p39_p40_any_one_bad_answer_while_publishing_still_ends_in_exactly_one_review() {
    nectr(async |t| {
        t.connected().await;
        for at in [CREATE, SUBMIT, LIST, "GET /repos/*/*/pulls/*/reviews/*", FILES, PULL] {
            for failure in bad_answers() {
                let pr = t.open_pull(warned);
                t.github.fail_next(at, failure.clone());
                until_done(t).await;
                t.github.recover();
                let review = exactly_one(t, pr);
                assert_eq!(review.comments.len(), 1, "{at} {failure:?}: {review:#?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn p39_p40_two_bad_answers_in_a_row_still_end_in_exactly_one_review() {
    nectr(async |t| {
        t.connected().await;
        for (first, then) in [
            (CREATE, LIST),
            (CREATE, CREATE),
            (SUBMIT, "GET /repos/*/*/pulls/*/reviews/*"),
            (SUBMIT, SUBMIT),
            (CREATE, SUBMIT),
        ] {
            for failure in bad_answers() {
                for second in [Failure::CutAfterWork, Failure::Status(502, bad_gateway())] {
                    let pr = t.open_pull(warned);
                    t.github.fail_next(first, failure.clone());
                    t.github.fail_next(then, second);
                    until_done(t).await;
                    t.github.recover();
                    exactly_one(t, pr);
                }
            }
        }
    })
    .await;
}

#[tokio::test]
async fn p40_after_a_doubtful_answer_github_is_read_before_it_is_written_to_again() {
    nectr(async |t| {
        t.connected().await;
        let first = t.open_pull(warned);
        t.settle().await;
        t.take_review(first);
        for (at, lookup) in [(CREATE, LIST), (SUBMIT, "GET /repos/*/*/pulls/*/reviews/*")] {
            let pr = t.open_pull(warned);
            t.github.forget_calls();
            t.github.fail_next(at, Failure::StatusAfterWork(502, bad_gateway()));
            t.settle().await;
            exactly_one(t, pr);
            assert_eq!(t.github.count(at), 1, "what happened is not asked for again");
            assert_eq!(t.github.count(lookup), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn p41_a_draft_of_ours_for_another_head_is_removed() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let stale = write_review(t, "nectr-bot", pr, &format!("Old.\n\n{}", marker(&"0".repeat(40))), None).await;
        t.settle().await;
        let review = exactly_one(t, pr);
        assert_ne!(review.id, stale);
        assert!(review.body.ends_with(&marker(&t.github.head_of(pr))), "{}", review.body);
    })
    .await;
}

#[tokio::test]
async fn p44_removing_a_draft_of_ours_takes_its_turn_as_well() {
    nectr_with(&[("GITHUB_WRITES_PER_MINUTE", "80")], async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        write_review(t, "nectr-bot", pr, &format!("Old.\n\n{}", marker(&"0".repeat(40))), None).await;
        t.github.forget_calls();
        let began = Instant::now();
        t.settle().await;
        // Refused because of the draft, the draft removed, made, submitted. The clock stands still, so each waits from the
        // beginning: 0, 1.1, 2.2 and 3.3 s.
        assert_eq!((t.github.count(CREATE), t.github.count(SUBMIT)), (2, 1));
        assert!(began.elapsed() >= Duration::from_secs(6));
        exactly_one(t, pr);
    })
    .await;
}

#[tokio::test]
async fn p41_a_draft_of_ours_for_the_same_head_is_adopted() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let text = format!("Begun.\n\n{}", marker(&t.github.head_of(pr)));
        let begun = write_review(t, "nectr-bot", pr, &text, None).await;
        t.settle().await;
        let review = exactly_one(t, pr);
        assert_eq!(review.id, begun);
        assert!(review.body.starts_with("**1 thing is worth a look"), "it says what this nectr says: {}", review.body);
    })
    .await;
}

#[tokio::test]
async fn p39_a_review_that_a_lost_database_knew_of_is_found_and_not_posted_again() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        // Submitted, and every answer since is lost.
        t.github.fail_next(SUBMIT, Failure::CutAfterWork);
        t.github.fail_next("GET /repos/*/*/pulls/*/reviews/*", Failure::CutBefore);
        t.settle().await;
        t.take_review(pr);
        t.github.forget_calls();
        until_done(t).await;
        assert_eq!(t.github.take_reviews(pr), []);
        assert_eq!((t.github.count(CREATE), t.github.count(SUBMIT)), (0, 0));
        let row = t.deliveries().await.remove(0);
        assert_eq!(row.outcome.as_deref(), Some("reviewed"));
        let detail = t.app.store.delivery(row.id).await.unwrap().unwrap();
        assert_eq!(detail.effects.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_persons_draft_under_the_bots_account_is_never_touched_and_parks_the_delivery() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let draft = write_review(t, "nectr-bot", pr, "I am not done yet.", None).await;
        t.settle().await;
        for _ in 0..12 {
            t.pass(minutes(10)).work().await;
        }
        let pending = t.github.pending_reviews(pr);
        assert_eq!(pending.len(), 1);
        assert_eq!((pending[0].id, pending[0].body.as_str()), (draft, "I am not done yet."));
        let row = t.deliveries().await.remove(0);
        assert_eq!((row.status.as_str(), row.attempts), ("failed", 0));
        assert_eq!(
            row.last_error.unwrap(),
            "the account nectr-bot has an unsubmitted review on acme/shop#1: submit or discard it, or give nectr an \
             account of its own"
        );

        let event = json!({"event": "COMMENT", "body": "Now I am."});
        ask(t, "nectr-bot", pr, http::Method::POST, &format!("/{draft}/events"), Some(event)).await;
        t.pass(minutes(10)).work().await;
        let reviews = t.github.take_reviews(pr);
        let bodies: Vec<_> = reviews.iter().map(|review| review.body.starts_with("**1 thing")).collect();
        assert_eq!(bodies, [false, true]);
    })
    .await;
}

#[tokio::test]
async fn only_our_account_with_our_marker_on_the_last_line_is_ours() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let ours = marker(&t.github.head_of(pr));
        write_review(t, "ada", pr, &format!("Copied.\n\n{ours}"), Some("COMMENT")).await;
        write_review(t, "nectr-bot", pr, &format!("See {ours} for how a marker looks."), Some("COMMENT")).await;
        // Make nectr read back: that is where it could fall for a copy.
        t.github.fail_next(CREATE, Failure::CutBefore);
        until_done(t).await;
        let reviews = t.github.take_reviews(pr);
        assert_eq!(reviews.len(), 3);
        assert!(reviews[2].body.starts_with("**1 thing is worth a look"), "{}", reviews[2].body);
        assert_eq!(reviews[2].author, "nectr-bot");
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_draft_with_our_marker_is_not_touched() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let copied = format!("Mine.\n\n{}", marker(&t.github.head_of(pr)));
        let draft = write_review(t, "ada", pr, &copied, None).await;
        t.github.fail_next(CREATE, Failure::CutAfterWork);
        until_done(t).await;
        t.take_review(pr);
        assert_eq!(t.github.pending_reviews(pr).iter().map(|review| review.id).collect::<Vec<_>>(), [draft]);
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_between_draft_and_submission_never_posts_a_second_review() {
    // Where the first worker is held while the second takes over.
    for at in [CREATE, PULL, SUBMIT] {
        nectr(async |t| {
            t.connected().await;
            t.deliver().await;
            let pr = t.open_pull(warned);
            t.deliver().await;
            if at == PULL {
                // The second look, between draft and submission.
                t.github.fail_next(at, Failure::Delay(Duration::ZERO));
            }
            let held = t.github.hold_next(at);
            let second = async {
                timeout(Duration::from_secs(60), held.arrived()).await.expect("the request is made");
                // The lease of the first runs out: somebody else may have the work.
                t.pass(minutes(2)).work().await;
                assert_eq!(t.github.reviews(pr).len(), 1, "held at {at}: the second worker is not held up");
                held.release();
            };
            tokio::join!(t.work(), second);
            exactly_one(t, pr);
            let row = t.deliveries().await.remove(0);
            assert_eq!((row.status.as_str(), row.outcome.as_deref()), ("completed", Some("reviewed")), "held at {at}");
            let log = t.app.store.delivery(row.id).await.unwrap().unwrap().attempts;
            let results: Vec<_> = log.iter().map(|attempt| attempt.result.as_deref()).collect();
            assert_eq!(results, [Some("lost"), Some("completed")], "held at {at}");
        })
        .await;
    }
}

async fn review_now(person: &Person, pr: Pr, force: bool) -> Response {
    let force = if force { "?force=true" } else { "" };
    person.post(&format!("/api/v1/repos/{SHOP}/pulls/{}/review{force}", pr.number)).await
}

#[tokio::test]
async fn force_posts_the_same_head_again_exactly_once_for_each_request() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        let first = t.take_review(pr);

        assert_eq!(review_now(&octavia, pr, false).await.status, 202);
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), [], "a head that was reviewed stays as it is");

        for failure in [None, Some(Failure::CutAfterWork), Some(Failure::StatusAfterWork(502, bad_gateway()))] {
            if let Some(failure) = failure {
                t.github.fail_next(CREATE, failure.clone());
                t.github.fail_next(SUBMIT, failure);
            }
            assert_eq!(review_now(&octavia, pr, true).await.status, 202);
            t.work().await;
            t.pass(minutes(5)).work().await;
            let again = t.take_review(pr);
            assert_eq!(again.commit, first.commit);
            assert_eq!(t.github.pending_reviews(pr), []);
        }

        let guid = t.deliveries().await.remove(0).guid;
        t.github.redeliver(&guid).await;
        let id = t.deliveries().await.remove(0).id;
        assert_eq!(octavia.post(&format!("/api/v1/deliveries/{id}/redeliver")).await.status, 202);
        t.work().await;
        assert_eq!(t.github.take_reviews(pr), [], "redelivering posts nothing");
    })
    .await;
}

#[tokio::test]
async fn force_is_not_forgotten_when_somebody_asks_without_it_right_after() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        t.take_review(pr);
        assert_eq!(review_now(&octavia, pr, true).await.status, 202);
        assert_eq!(review_now(&octavia, pr, false).await.status, 202);
        t.work().await;
        t.take_review(pr);
    })
    .await;
}

#[tokio::test]
async fn a6_when_github_refuses_a_line_the_findings_go_into_the_text() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(blocked);
        let refusal = json!({
            "message": "Unprocessable Entity", "errors": ["Pull request review thread line must be part of the diff"],
        });
        t.github.fail_next(CREATE, Failure::Status(422, refusal.to_string()));
        t.settle().await;
        let review = exactly_one(t, pr);
        assert_eq!((review.state, review.comments.len()), (ReviewState::ChangesRequested, 0));
        assert!(
            review.body.contains("`tests/cart.test.js:1`") && review.body.contains("`focused-test`"),
            "{}",
            review.body
        );
        assert!(review.body.ends_with(&marker(&t.github.head_of(pr))));
        let id = octavia.see("/api/v1/reviews").await["items"][0]["id"].clone();
        let told = octavia.see(&format!("/api/v1/reviews/{id}")).await;
        assert_eq!(told["findings"][0]["inline"], false);
    })
    .await;
}

#[tokio::test]
async fn a12_a_correction_lifts_the_changes_we_requested_even_where_we_may_not_approve() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(blocked);
        t.settle().await;
        assert_eq!(t.take_review(pr).state, ReviewState::ChangesRequested);
        t.github.push(pr, |files| files.adds("tests/cart.test.js", "it('sums', () => {\n  expect(1).toBe(1);\n});\n"));
        t.settle().await;
        assert_eq!(t.take_review(pr).state, ReviewState::Commented);
        let states: Vec<_> = t.github.reviews(pr).iter().map(|review| review.state).collect();
        assert_eq!(states, [ReviewState::Dismissed, ReviewState::Commented], "nothing of ours blocks merging any more");
    })
    .await;
}

#[tokio::test]
async fn on_the_worst_of_days_every_pull_request_still_gets_one_review() {
    nectr(async |t| {
        t.connected().await;
        for seed in 1..=25 {
            let pulls = [t.open_pull(warned), t.open_pull(clean)];
            t.deliver().await;
            t.github.fail_share(35, seed);
            for _ in 0..3 {
                t.work().await;
                t.pass(minutes(2));
            }
            t.github.recover();
            t.pass(hours(1));
            until_done(t).await;
            for pr in pulls {
                exactly_one(t, pr);
            }
        }
        assert!(t.deliveries().await.iter().all(|row| row.outcome.as_deref() == Some("reviewed")));
        let bad = t.github.calls().iter().filter(|call| !(200..300).contains(&call.status)).count();
        assert!(bad > 50, "the days were not that bad: {bad}");
    })
    .await;
}
