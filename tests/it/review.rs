//! From a webhook to a review: what is said, about which commit, and when nothing is said at all.

use std::time::Duration;

use nectr::{
    domain::review::Side,
    sandbox::{Comment, Delivery, Failure, NewPull, Pr, Review, ReviewState},
};
use serde_json::Value;
use tokio::time::{Instant, interval};

use crate::support::{Person, SHOP, T, minutes, nectr, nectr_with};

/// What a pull request changes.
type Describe = fn(NewPull) -> NewPull;

/// What somebody does to it.
type Ending = fn(&T, Pr);

const OLD_CART: &str = "function total(cart) {\n  return cart.sum;\n}\n";
const NEW_CART: &str = "function total(cart) {\n  debugger;\n  return cart.sum;\n}\n";
const FOCUSED: &str =
    "describe('cart', () => {\n  it.only('sums', () => {\n    expect(total([1])).toBe(1);\n  });\n});\n";

fn clean(pr: NewPull) -> NewPull {
    pr.adds("src/price.rs", "pub fn price() -> u32 {\n    3\n}\n")
}

fn warned(pr: NewPull) -> NewPull {
    pr.modifies("src/cart.js", OLD_CART, NEW_CART)
}

fn blocked(pr: NewPull) -> NewPull {
    pr.adds("tests/cart.test.js", FOCUSED)
}

/// The text after somebody pressed "Commit suggestion".
fn apply(text: &str, comment: &Comment) -> String {
    let (_, rest) = comment.body.split_once("```suggestion\n").expect("the comment suggests something");
    let (replacement, _) = rest.split_once("```").expect("the suggestion ends");
    let (first, last) = (comment.start.map_or(comment.line, |(line, _)| line), comment.line);
    let lines = text.split_inclusive('\n').zip(1..);
    let before: String = lines.clone().filter(|(_, n)| *n < first).map(|(line, _)| line).collect();
    let after: String = lines.filter(|(_, n)| *n > last).map(|(line, _)| line).collect();
    format!("{before}{replacement}{after}")
}

/// All that is known of the reviews of the repository, newest first.
async fn listed(person: &Person) -> Vec<Value> {
    person.see("/api/v1/reviews").await["items"].as_array().unwrap().clone()
}

/// The newest review, with its findings.
async fn newest(person: &Person) -> Value {
    let id = listed(person).await[0]["id"].as_i64().unwrap();
    person.see(&format!("/api/v1/reviews/{id}")).await
}

/// `status outcome` of every delivery about a pull request, oldest first.
async fn fates(t: &T) -> Vec<String> {
    let fate = |row: &nectr::store::deliveries::DeliveryRow| {
        format!("{} {}", row.status.as_str(), row.outcome.as_deref().unwrap_or("-"))
    };
    let mut rows = t.deliveries().await;
    rows.reverse();
    rows.iter().map(fate).collect()
}

/// Runs the workers, and `act` as soon as GitHub has answered `calls` requests like `pattern`.
async fn while_working<R>(t: &T, pattern: &str, calls: usize, act: impl FnOnce() -> R) -> R {
    let meanwhile = async {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut beat = interval(Duration::from_millis(2));
        while t.github.count(pattern) < calls {
            beat.tick().await;
            assert!(Instant::now() < deadline, "no {calls} calls of {pattern}");
        }
        act()
    };
    tokio::join!(t.work(), meanwhile).1
}

#[track_caller]
fn nothing_posted(t: &T, pr: Pr) {
    assert_eq!(t.github.take_reviews(pr), []);
    assert_eq!(t.github.pending_reviews(pr), [], "a draft was left behind");
}

#[track_caller]
fn one_comment(review: &Review) -> &Comment {
    assert_eq!(review.comments.len(), 1, "{review:#?}");
    &review.comments[0]
}

#[tokio::test]
async fn p38_an_opened_pull_request_gets_exactly_one_review_with_the_comment_on_the_line_it_means() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let sent = t.deliver().await;
        t.work().await;
        let review = t.take_review(pr);
        assert_eq!((review.author.as_str(), review.state), ("nectr-bot", ReviewState::Commented));
        assert_eq!(review.commit, t.github.head_of(pr));
        assert!(review.body.starts_with("**1 thing is worth a look before this is merged.** Nothing blocks."));
        let comment = one_comment(&review);
        assert_eq!((comment.path.as_str(), comment.line, comment.side), ("src/cart.js", 2, Side::Right));
        assert!(comment.body.contains("`debugger` is left over from debugging"), "{}", comment.body);
        assert_eq!(apply(NEW_CART, comment), OLD_CART, "the suggestion removes the line and nothing else");

        let guid = &sent.last().unwrap().delivery.guid;
        let again = t.github.redeliver(guid).await;
        assert_eq!(again[0].answer.status, Some(200));
        t.work().await;
        nothing_posted(t, pr);
        assert_eq!(fates(t).await, ["completed reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn something_that_blocks_requests_changes_and_suggests_the_correction() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(blocked);
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(review.state, ReviewState::ChangesRequested);
        let comment = one_comment(&review);
        assert_eq!((comment.path.as_str(), comment.line, comment.side), ("tests/cart.test.js", 2, Side::Right));
        assert_eq!(apply(FOCUSED, comment), FOCUSED.replace("it.only(", "it("));
        let told = newest(&octavia).await;
        assert_eq!((&told["verdict"], &told["event"]), (&"REQUEST_CHANGES".into(), &"REQUEST_CHANGES".into()));
    })
    .await;
}

#[tokio::test]
async fn a_clean_change_is_a_comment_with_the_verdict_approve() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(clean);
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(review.state, ReviewState::Commented);
        assert_eq!(review.comments, []);
        assert!(review.body.starts_with("**No problems found.** Read the changed file at "), "{}", review.body);
        let told = newest(&octavia).await;
        assert_eq!((&told["verdict"], &told["event"]), (&"APPROVE".into(), &"COMMENT".into()));
    })
    .await;
}

#[tokio::test]
async fn where_approving_is_allowed_a_clean_change_is_approved_unless_it_comes_from_a_fork() {
    nectr_with(&[("REVIEW_APPROVE", "true")], async |t| {
        let octavia = t.connected().await;
        let inside = t.open_pull(clean);
        let fork = t.open_pull(|pr| clean(pr).from_fork());
        let orphan = t.open_pull(|pr| clean(pr).from_deleted_fork());
        let doubtful = t.open_pull(warned);
        t.settle().await;
        assert_eq!(t.take_review(inside).state, ReviewState::Approved);
        for pr in [fork, orphan, doubtful] {
            assert_eq!(t.take_review(pr).state, ReviewState::Commented);
        }
        let mut told: Vec<_> = listed(&octavia)
            .await
            .iter()
            .map(|r| format!("{} {}", r["verdict"], r["event"]).replace('"', ""))
            .collect();
        told.reverse();
        assert_eq!(told, ["APPROVE APPROVE", "APPROVE COMMENT", "APPROVE COMMENT", "NEEDS_DISCUSSION COMMENT"]);
    })
    .await;
}

#[tokio::test]
async fn a10_our_own_pull_request_only_ever_gets_a_comment() {
    nectr_with(&[("REVIEW_APPROVE", "true")], async |t| {
        let octavia = t.connected().await;
        let good = t.open_pull(|pr| clean(pr).author("nectr-bot"));
        let bad = t.open_pull(|pr| blocked(pr).author("nectr-bot"));
        t.settle().await;
        assert_eq!(t.take_review(good).state, ReviewState::Commented);
        assert_eq!(t.take_review(bad).state, ReviewState::Commented);
        let told = newest(&octavia).await;
        assert_eq!((&told["verdict"], &told["event"]), (&"REQUEST_CHANGES".into(), &"COMMENT".into()));
    })
    .await;
}

#[tokio::test]
async fn f3_what_could_not_be_read_keeps_it_from_being_an_approval_and_is_named() {
    nectr_with(&[("REVIEW_APPROVE", "true")], async |t| {
        let octavia = t.connected().await;
        let cases: [(&str, Describe, &str); 3] = [
            ("data/big.sql", |pr| pr.too_large("data/big.sql"), "too large for GitHub to show: `data/big.sql`"),
            (
                "src/odd.rs",
                |pr| pr.raw_patch("src/odd.rs", "@@ -1,2 +1,9 @@\n line\n"),
                "a patch that makes no sense: `src/odd.rs`",
            ),
            (
                "src/loud.rs",
                |pr| pr.raw_patch("src/loud.rs", "no hunk at all"),
                "a patch that makes no sense: `src/loud.rs`",
            ),
        ];
        for (path, describe, told) in cases {
            let pr = t.open_pull(|pr| describe(clean(pr)));
            t.settle().await;
            let review = t.take_review(pr);
            assert_eq!(review.state, ReviewState::Commented, "{path}");
            assert!(review.body.contains(told), "{path}: {}", review.body);
            let known = newest(&octavia).await;
            assert_eq!(known["verdict"], "NEEDS_DISCUSSION", "{path}");
            assert_eq!(known["coverage"]["full"], serde_json::json!(["src/price.rs"]));
            assert_eq!(known["coverage"]["listed"], serde_json::json!([path]));
        }
    })
    .await;
}

#[tokio::test]
async fn f4_rows_that_github_cut_short_are_not_taken_for_empty_changes() {
    nectr_with(&[("REVIEW_APPROVE", "true")], async |t| {
        let octavia = t.connected().await;
        t.github.truncate_rows_after(Some(1));
        let pr = t.open_pull(|pr| clean(pr).adds("src/zebra.rs", "pub fn stripes() {}\n"));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(review.state, ReviewState::Commented);
        assert!(review.body.contains("`src/zebra.rs`"), "{}", review.body);
        assert_eq!(newest(&octavia).await["verdict"], "NEEDS_DISCUSSION");
    })
    .await;
}

#[tokio::test]
async fn p58_a_change_of_more_files_than_github_lists_says_how_many_were_not_seen() {
    nectr_with(&[("REVIEW_APPROVE", "true")], async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| (0..3_002).fold(pr, |pr, n| pr.adds(&format!("src/f{n:04}.rs"), "pub fn f() {}\n")));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(review.state, ReviewState::Commented);
        assert!(review.body.contains("Read 3000 of 3002 changed files"), "{}", review.body);
        assert!(review.body.contains("2 files that GitHub counts but did not list"), "{}", review.body);
        let known = listed(&octavia).await.remove(0);
        assert_eq!((&known["verdict"], &known["files_analyzed"]), (&"NEEDS_DISCUSSION".into(), &3_000.into()));
    })
    .await;
}

#[tokio::test]
async fn f4_a_moved_file_and_a_binary_one_do_not_make_a_review_incomplete() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| {
            clean(pr).renames("src/a.rs", "src/b.rs").binary("logo.png").removes("src/c.rs", "fn c() {}\n")
        });
        t.settle().await;
        assert_eq!(t.take_review(pr).state, ReviewState::Commented);
        let known = newest(&octavia).await;
        assert_eq!(known["verdict"], "APPROVE");
        assert_eq!(known["coverage"]["full"], serde_json::json!(["src/b.rs", "src/c.rs", "src/price.rs"]));
        assert_eq!(known["coverage"]["excluded"], serde_json::json!(["logo.png"]));
    })
    .await;
}

#[tokio::test]
async fn a2_a_comment_on_a_renamed_file_uses_its_new_name() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(|pr| pr.renames_and_modifies("src/old.js", "src/new.js", OLD_CART, NEW_CART));
        t.settle().await;
        let review = t.take_review(pr);
        let comment = one_comment(&review);
        assert_eq!((comment.path.as_str(), comment.line), ("src/new.js", 2));
    })
    .await;
}

#[tokio::test]
async fn a3_a_comment_deep_in_a_file_stands_on_its_own_hunk() {
    nectr(async |t| {
        t.connected().await;
        let line = |n: usize| format!("  step({n});\n");
        let old: String = (1..=60).map(line).collect();
        let new: String =
            (1..=60).map(|n| if n % 20 == 0 { format!("{}  debugger;\n", line(n)) } else { line(n) }).collect();
        let pr = t.open_pull(|pr| pr.modifies("src/steps.js", &old, &new));
        t.settle().await;
        let review = t.take_review(pr);
        let lines: Vec<_> = review.comments.iter().map(|comment| (comment.line, comment.start)).collect();
        assert_eq!(lines, [(21, None), (42, None), (63, None)], "each where it is, none a range of one line");
        for comment in &review.comments {
            assert_eq!(new.lines().nth(usize::try_from(comment.line).unwrap() - 1), Some("  debugger;"));
        }
    })
    .await;
}

#[tokio::test]
async fn a_push_is_reviewed_at_the_new_head() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        t.take_review(pr);
        let head = t.github.push(pr, |files| files.modifies("src/cart.js", OLD_CART, "function total() {}\n"));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!((review.commit, review.comments.len()), (head, 0));
        assert_eq!(fates(t).await, ["completed reviewed", "completed reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn p52_an_older_delivery_that_still_waits_is_superseded() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, head);
        assert_eq!(fates(t).await, ["superseded superseded", "completed reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn p52_deliveries_in_the_wrong_order_end_in_one_review_of_the_newest_head() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        // Both wait together, newest first.
        let pr = t.open_pull(warned);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        for delivery in t.github.drop_deliveries().into_iter().rev() {
            t.github.deliver(delivery).await;
        }
        t.work().await;
        assert_eq!(t.take_review(pr).commit, head);
        assert_eq!(fates(t).await, ["completed reviewed", "superseded superseded"]);

        // The old one comes when everything is done.
        let pr = t.open_pull(warned);
        let opened = t.github.drop_deliveries().remove(0);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, head);
        t.github.deliver(opened).await;
        t.work().await;
        nothing_posted(t, pr);
        assert_eq!(fates(t).await[2..], ["completed reviewed", "superseded superseded"]);
    })
    .await;
}

#[tokio::test]
async fn p52_an_old_delivery_alone_leads_to_a_review_of_what_is_there_now() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(warned);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        // The delivery about the push is lost.
        let opened = t.github.drop_deliveries().remove(0);
        t.github.deliver(opened).await;
        t.work().await;
        assert_eq!(t.take_review(pr).commit, head, "a webhook only says: look");
    })
    .await;
}

#[tokio::test]
async fn p53_while_the_api_still_shows_the_old_head_the_delivery_waits() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        let old = t.github.head_of(pr);
        t.settle().await;
        t.take_review(pr);

        t.github.lag(pr);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        t.settle().await;
        nothing_posted(t, pr);
        t.expect_waiting(1).await;
        let row = t.deliveries().await.remove(0);
        assert_eq!((row.status.as_str(), row.attempts), ("failed", 0), "waiting is no attempt");
        assert_eq!(row.last_error.unwrap(), format!("GitHub still shows {} as the head", &old[..7]));

        t.pass(Duration::from_secs(10)).work().await;
        nothing_posted(t, pr);
        t.github.catch_up(pr);
        t.pass(Duration::from_secs(10)).work().await;
        assert_eq!(t.take_review(pr).commit, head);
        assert_eq!(fates(t).await, ["completed reviewed", "completed reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn p53_two_events_within_one_second_are_told_apart_by_which_was_heard_of_first() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        t.take_review(pr);
        let shown = t.github.payload(pr, "synchronize");

        // GitHub says of the newer head that it came in the second of the older, which its API still shows.
        t.github.lag(pr);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        let told = t.github.drop_deliveries().remove(0);
        let mut payload = t.github.payload(pr, "synchronize");
        payload["pull_request"]["updated_at"] = shown["pull_request"]["updated_at"].clone();
        let newer = told
            .clone()
            .with_guid("0b0b0b0b-0000-4000-8000-000000000001")
            .with_header("X-GitHub-Event", "pull_request")
            .with_body(payload.to_string());
        assert_eq!(t.github.deliver(newer).await.answer.status, Some(202));
        t.work().await;
        nothing_posted(t, pr);
        t.expect_waiting(1).await;
        t.github.catch_up(pr);
        t.pass(Duration::from_secs(10)).work().await;
        assert_eq!(t.take_review(pr).commit, head);

        // And the other way round: what is told last is what was there first.
        let newest = t.github.push(pr, |files| files.adds("src/most.rs", "pub fn most() {}\n"));
        let mut payload = t.github.payload(pr, "synchronize");
        payload["pull_request"]["head"]["sha"] = head.into();
        let older = told
            .with_guid("0b0b0b0b-0000-4000-8000-000000000002")
            .with_header("X-GitHub-Event", "pull_request")
            .with_body(payload.to_string());
        assert_eq!(t.github.deliver(older).await.answer.status, Some(202));
        t.deliver().await;
        t.work().await;
        assert_eq!(t.take_review(pr).commit, newest);
        t.expect_waiting(0).await;
    })
    .await;
}

#[tokio::test]
async fn p53_an_api_that_lags_behind_any_event_is_waited_for() {
    type Verb = fn(&T, Pr);
    let cases: [(&str, Verb, Verb, &str, usize); 5] = [
        (
            "reopened",
            |t, pr| t.github.close(pr),
            |t, pr| t.github.reopen(pr),
            "GitHub still shows the pull request as closed",
            1,
        ),
        (
            "ready_for_review",
            |t, pr| t.github.convert_to_draft(pr),
            |t, pr| t.github.ready_for_review(pr),
            "GitHub still shows a draft",
            1,
        ),
        ("edited", |_, _| {}, |t, pr| t.github.change_base(pr, "release"), "GitHub still shows main as the base", 1),
        ("closed", |_, _| {}, |t, pr| t.github.close(pr), "GitHub still shows the pull request as open", 0),
        ("merged", |_, _| {}, |t, pr| t.github.merge(pr), "GitHub still shows the pull request as open", 0),
    ];
    for (what, before, event, error, reviews) in cases {
        nectr(async |t| {
            let octavia = t.connected().await;
            t.deliver().await;
            let pr = t.open_pull(warned);
            if what == "edited" || reviews == 0 {
                t.settle().await;
                t.take_review(pr);
            }
            before(t, pr);
            t.github.drop_deliveries();
            t.github.lag(pr);
            event(t, pr);
            t.settle().await;
            let row = t.deliveries().await.remove(0);
            assert_eq!(row.last_error.as_deref(), Some(error), "{what}: {row:?}");
            assert_eq!(row.attempts, 0);
            nothing_posted(t, pr);
            t.github.catch_up(pr);
            t.pass(Duration::from_secs(10)).work().await;
            assert_eq!(t.github.take_reviews(pr).len(), reviews, "{what}");
            let state = if reviews == 0 { what } else { "open" };
            assert_eq!(listed(&octavia).await[0]["pr_state"], state, "{what}");
        })
        .await;
    }
}

#[tokio::test]
async fn p53_an_end_that_was_heard_of_counts_before_the_api_shows_it() {
    type Verb = fn(&T, Pr);
    let cases: [(Verb, Verb); 2] = [
        (|t, pr| t.github.close(pr), |t, pr| t.github.reopen(pr)),
        (|t, pr| t.github.convert_to_draft(pr), |t, pr| t.github.ready_for_review(pr)),
    ];
    for (end, again) in cases {
        for in_the_middle in [false, true] {
            nectr(async |t| {
                t.connected().await;
                let pr = t.open_pull(warned);
                t.deliver().await;
                let ends = async {
                    t.github.lag(pr);
                    end(t, pr);
                    t.deliver().await;
                };
                if in_the_middle {
                    let hold = t.github.hold_next(FILES);
                    tokio::join!(t.work(), async {
                        hold.arrived().await;
                        ends.await;
                        hold.release();
                    });
                } else {
                    ends.await;
                    t.work().await;
                }
                nothing_posted(t, pr);
                assert_eq!(fates(t).await[0], "completed cancelled");

                // What came after the end counts more, while the API still shows a time before both.
                again(t, pr);
                t.deliver().await;
                t.work().await;
                t.take_review(pr);
                t.github.catch_up(pr);
                t.pass(Duration::from_secs(10)).settle().await;
                nothing_posted(t, pr);
            })
            .await;
        }
    }
}

#[tokio::test]
async fn p53_an_end_and_a_beginning_within_one_second_may_be_heard_of_in_any_order() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        t.deliver().await;
        t.github.lag(pr);
        t.github.close(pr);
        t.github.reopen(pr);
        let mut told = t.github.drop_deliveries();
        let (closed, reopened) = (told.remove(0), told.remove(0));
        let body = |delivery: &Delivery| serde_json::from_slice::<Value>(&delivery.body).unwrap();
        let mut end = body(&closed);
        end["pull_request"]["updated_at"] = body(&reopened)["pull_request"]["updated_at"].clone();
        for told in [reopened, closed.with_body(end.to_string())] {
            assert_eq!(t.github.deliver(told).await.answer.status, Some(202));
        }
        t.work().await;
        t.take_review(pr);
        t.github.catch_up(pr);
        t.pass(Duration::from_secs(10)).settle().await;
        nothing_posted(t, pr);
    })
    .await;
}

const FILES: &str = "GET /repos/*/*/pulls/*/files";
const PULL: &str = "GET /repos/*/*/pulls/*";
const CREATE: &str = "POST /repos/*/*/pulls/*/reviews";
const SUBMIT: &str = "POST /repos/*/*/pulls/*/reviews/*/events";

/// Long enough for a test to do something while a request is on its way.
const A_WHILE: Failure = Failure::Delay(Duration::from_millis(400));

#[tokio::test]
async fn f7_a_push_while_the_files_are_read_is_noticed_before_anything_is_posted() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(warned);
        t.deliver().await;
        t.github.forget_calls();
        t.github.fail_next(FILES, A_WHILE);
        let more = |files: nectr::sandbox::Files| files.adds("src/more.rs", "pub fn more() {}\n");
        let head = while_working(t, PULL, 1, || t.github.push(pr, more)).await;
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, head);
        assert_eq!(t.github.reviews(pr).len(), 1);
        assert_eq!(t.github.pending_reviews(pr), []);
    })
    .await;
}

#[tokio::test]
async fn a_push_between_reading_and_submitting_means_the_old_head_is_never_posted() {
    let pushes: [fn(&T, Pr) -> String; 2] = [
        |t, pr| t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n")),
        |t, pr| t.github.force_push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n")),
    ];
    for push in pushes {
        nectr(async |t| {
            let octavia = t.connected().await;
            t.deliver().await;
            let pr = t.open_pull(warned);
            let old = t.github.head_of(pr);
            t.deliver().await;
            t.github.forget_calls();
            t.github.fail_next(CREATE, A_WHILE);
            let head = while_working(t, FILES, 1, || push(t, pr)).await;
            t.settle().await;
            assert_eq!(t.take_review(pr).commit, head);
            assert_eq!(t.github.pending_reviews(pr), []);
            let told = listed(&octavia).await;
            let told: Vec<_> = told.iter().map(|r| (r["status"].clone(), r["head_sha"].clone())).collect();
            assert_eq!(told[0], ("posted".into(), head.into()));
            assert_eq!(told[1..], [("cancelled".into(), old.into())], "the lists say what became of the first");
        })
        .await;
    }
}

#[tokio::test]
async fn a_push_after_the_draft_was_created_means_the_draft_goes() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(warned);
        t.deliver().await;
        t.github.forget_calls();
        t.github.fail_next(PULL, Failure::Delay(Duration::ZERO));
        t.github.fail_next(PULL, A_WHILE);
        let head = while_working(t, CREATE, 1, || {
            assert_eq!(t.github.pending_reviews(pr).len(), 1);
            t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"))
        })
        .await;
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, head);
        assert_eq!(t.github.count(SUBMIT), 1);
        assert_eq!(t.github.pending_reviews(pr), []);
    })
    .await;
}

const ENDINGS: [(&str, Ending); 3] = [
    ("closed", |t, pr| t.github.close(pr)),
    ("merged", |t, pr| t.github.merge(pr)),
    ("converted_to_draft", |t, pr| t.github.convert_to_draft(pr)),
];

#[tokio::test]
async fn p54_what_ends_while_its_delivery_waits_is_not_reviewed() {
    for (how, end) in ENDINGS {
        nectr(async |t| {
            t.connected().await;
            let pr = t.open_pull(warned);
            t.deliver().await;
            end(t, pr);
            // The delivery about the end may be late, or lost.
            t.work().await;
            nothing_posted(t, pr);
            t.settle().await;
            nothing_posted(t, pr);
            let fates = fates(t).await;
            let expected = match how {
                "converted_to_draft" => ["ignored draft", "completed cancelled"],
                _ => ["completed cancelled", "completed state_updated"],
            };
            assert_eq!(fates, expected, "{how}");
        })
        .await;
    }
}

#[tokio::test]
async fn p54_what_ends_while_it_is_reviewed_gets_nothing_and_no_draft_stays() {
    for (how, end) in ENDINGS {
        nectr(async |t| {
            let octavia = t.connected().await;
            t.deliver().await;
            let pr = t.open_pull(warned);
            t.deliver().await;
            t.github.forget_calls();
            t.github.fail_next(CREATE, A_WHILE);
            while_working(t, FILES, 1, || end(t, pr)).await;
            nothing_posted(t, pr);
            t.settle().await;
            nothing_posted(t, pr);
            assert_eq!(fates(t).await[0], "completed cancelled", "{how}");
            let told = listed(&octavia).await.remove(0);
            assert_eq!((&told["status"], &told["posted_at"]), (&"cancelled".into(), &Value::Null), "{how}");
            if how != "converted_to_draft" {
                assert_eq!(told["pr_state"], how);
            }
        })
        .await;
    }
}

#[tokio::test]
async fn p55_a_draft_of_a_review_left_by_a_broken_attempt_is_removed_when_the_pull_request_ends() {
    for (how, end) in ENDINGS {
        nectr(async |t| {
            t.connected().await;
            let pr = t.open_pull(warned);
            t.deliver().await;
            // Created without us knowing, and GitHub then fails to say so.
            t.github.fail_next(CREATE, Failure::CutAfterWork);
            t.github.fail_next("GET /repos/*/*/pulls/*/reviews", Failure::Status(502, "bad gateway".into()));
            t.work().await;
            assert_eq!(t.github.pending_reviews(pr).len(), 1, "{how}");
            end(t, pr);
            t.settle().await;
            t.pass(minutes(1)).work().await;
            nothing_posted(t, pr);
        })
        .await;
    }
}

#[tokio::test]
async fn p55_a_draft_waits_for_ready_for_review() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let pr = t.open_pull(|pr| warned(pr).draft());
        let sent = t.deliver().await;
        assert_eq!(sent[0].answer.status, Some(200));
        assert!(sent[0].answer.body.contains("\"draft\""), "{}", sent[0].answer.body);
        t.work().await;
        t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        t.settle().await;
        nothing_posted(t, pr);
        t.github.ready_for_review(pr);
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, t.github.head_of(pr));
        assert_eq!(fates(t).await, ["ignored draft", "ignored draft", "completed reviewed"]);
    })
    .await;
}

#[tokio::test]
async fn p54_reopening_reviews_what_was_pushed_while_it_was_closed_and_nothing_twice() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        t.take_review(pr);
        t.github.close(pr);
        t.github.reopen(pr);
        t.settle().await;
        nothing_posted(t, pr);
        t.github.close(pr);
        let head = t.github.push(pr, |files| files.adds("src/more.rs", "pub fn more() {}\n"));
        t.github.reopen(pr);
        t.settle().await;
        assert_eq!(t.take_review(pr).commit, head);
        let fates = fates(t).await;
        assert_eq!(fates[2], "completed already_reviewed");
        assert_eq!(fates[4], "completed reviewed");
    })
    .await;
}

#[tokio::test]
async fn another_base_branch_is_another_review_and_another_title_is_none() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| warned(pr).title("Count the cart"));
        t.settle().await;
        let first = t.take_review(pr);

        t.github.edit_title(pr, "Count the cart once");
        t.settle().await;
        nothing_posted(t, pr);
        assert_eq!(fates(t).await[1], "completed state_updated");
        assert_eq!(listed(&octavia).await[0]["pr_title"], "Count the cart once");

        t.github.change_base(pr, "release");
        t.settle().await;
        let second = t.take_review(pr);
        assert_eq!(second.commit, first.commit);
        assert_eq!(fates(t).await[2], "completed reviewed");
        let told = listed(&octavia).await;
        assert_eq!((&told[0]["base_ref"], &told[1]["base_ref"]), (&"release".into(), &"main".into()));
    })
    .await;
}

#[tokio::test]
async fn lists_learn_that_a_pull_request_was_closed_merged_or_reopened() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(warned);
        t.settle().await;
        t.take_review(pr);
        assert_eq!(listed(&octavia).await[0]["pr_state"], "open");
        t.github.close(pr);
        t.settle().await;
        assert_eq!(listed(&octavia).await[0]["pr_state"], "closed");
        t.github.reopen(pr);
        t.settle().await;
        assert_eq!(listed(&octavia).await[0]["pr_state"], "open");
        t.github.merge(pr);
        t.settle().await;
        assert_eq!(listed(&octavia).await[0]["pr_state"], "merged");
    })
    .await;
}

#[tokio::test]
async fn p56_a_fork_that_is_gone_is_read_through_the_base_repository() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| warned(pr).from_deleted_fork());
        let fork = t.open_pull(|pr| warned(pr).from_fork());
        t.settle().await;
        assert_eq!(one_comment(&t.take_review(pr)).line, 2);
        assert_eq!(one_comment(&t.take_review(fork)).line, 2);
        assert_eq!(listed(&octavia).await.len(), 2);
        let elsewhere: Vec<_> =
            t.github.calls().into_iter().filter(|call| call.path.starts_with("/repos/sam/")).collect();
        assert_eq!(elsewhere, [], "nothing is read from the fork");
    })
    .await;
}

#[tokio::test]
async fn p60_a_deleted_author_and_unusual_titles_are_reviewed_and_listed_as_they_are() {
    nectr(async |t| {
        let octavia = t.connected().await;
        t.deliver().await;
        let titles = [
            "Fix the \u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467} counter \u{1f41d}".to_owned(),
            "evil \u{202e}txt.exe".to_owned(),
            "\u{5e2}\u{5d1}\u{5e8}\u{5d9}\u{5ea} first".to_owned(),
            "e\u{301}\u{e9}".to_owned(),
            "\u{1f41d}".repeat(256),
            " \"quoted\" \\ 'single' <b> & \u{0} nul".replace('\0', "\u{1}"),
        ];
        let pulls: Vec<_> =
            titles.iter().map(|title| t.open_pull(|pr| warned(pr).title(title).author("passerby"))).collect();
        t.github.delete_user("passerby");
        // As GitHub would send it now: without sender and author.
        let deliveries = t.github.drop_deliveries();
        for (delivery, pr) in deliveries.into_iter().zip(&pulls) {
            let body = t.github.payload(*pr, "opened").to_string();
            assert!(body.contains("\"sender\":null") && body.contains("\"user\":null"));
            let sent = t.github.deliver(delivery.with_body(body)).await;
            assert_eq!(sent.answer.status, Some(202), "{}", sent.answer.body);
        }
        t.work().await;
        for pr in &pulls {
            let review = t.take_review(*pr);
            assert!(!review.body.contains('\u{202e}'), "hidden characters are written out");
        }
        let mut told = listed(&octavia).await;
        told.reverse();
        let known: Vec<_> = told.iter().map(|review| review["pr_title"].as_str().unwrap().to_owned()).collect();
        assert_eq!(known, titles);
        assert!(told.iter().all(|review| review["author"] == "ghost"));
    })
    .await;
}

#[tokio::test]
async fn p60_paths_with_hidden_characters_and_back_ticks_are_shown_and_commented() {
    nectr(async |t| {
        t.connected().await;
        let path = "src/a`b\u{202e}c d.js";
        let pr = t.open_pull(|pr| pr.modifies(path, OLD_CART, NEW_CART).too_large("src/\u{202e}big.sql"));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!(one_comment(&review).path, path);
        assert!(review.body.contains("src/U+202Ebig.sql"), "{}", review.body);
    })
    .await;
}

/// Code spans and comments show text; they ping nobody and close nothing.
fn outside_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join(" ").replace("<!--", " ")
}

#[tokio::test]
async fn nothing_an_author_named_pings_anybody_or_closes_an_issue() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let path = "src/fixes #1 @octavia closes acme-shop#2/cart.js";
        let quiet = "// nectr:ignore debug-leftover @octavia fixes #7, resolves GH-8\ndebugger;\n";
        let pr = t.open_pull(|pr| {
            pr.title("fixes #1, thanks @octavia")
                .body("closes #2 @sam")
                .branch("fixes-#3-@octavia")
                .modifies(path, OLD_CART, NEW_CART)
                .modifies("src/quiet.js", "// nectr:ignore debug-leftover @octavia fixes #7, resolves GH-8\n", quiet)
                .too_large("docs/resolves #4 @octavia/big.sql")
        });
        t.settle().await;
        let review = t.take_review(pr);
        let texts = std::iter::once(&review.body).chain(review.comments.iter().map(|comment| &comment.body));
        for text in texts {
            let text = outside_code(text);
            let mention = text.match_indices('@').any(|(at, _)| text[at + 1..].starts_with(char::is_alphanumeric));
            assert!(!mention, "{text}");
            let reference =
                text.match_indices('#').any(|(at, _)| text[at + 1..].starts_with(|c: char| c.is_ascii_digit()));
            assert!(!reference, "{text}");
            assert!(!text.to_lowercase().contains("gh-8"), "{text}");
        }
        assert!(review.body.contains("Silenced by `nectr:ignore`"), "{}", review.body);
        assert_eq!(listed(&octavia).await[0]["pr_title"], "fixes #1, thanks @octavia");
    })
    .await;
}

#[tokio::test]
async fn p50_a_renamed_and_transferred_repository_goes_on_under_its_new_name() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let before = t.open_pull(warned);
        t.deliver().await;
        t.github.rename_repo(SHOP, "store");
        t.work().await;
        t.take_review(before);

        t.github.transfer_repo("acme/store", "umbrella");
        t.github.repo("umbrella/store").admin("octavia").write("sam").write("nectr-bot");
        let after = t.github.open_pull("umbrella/store", |pr| warned(pr).author("sam"));
        t.settle().await;
        t.take_review(after);
        let told = octavia.see("/api/v1/reviews?repo=umbrella/store").await;
        assert_eq!(told["items"][0]["pr_number"], after.number);
        let asked: Vec<_> =
            t.github.calls().into_iter().filter(|call| call.method == "POST" && call.status >= 300).collect();
        assert_eq!(asked, [], "nothing is written under an old name");
    })
    .await;
}

#[tokio::test]
async fn p57_what_nectr_does_itself_never_triggers_it() {
    nectr(async |t| {
        t.connected().await;
        let pr = t.open_pull(blocked);
        t.settle().await;
        t.take_review(pr);
        for round in 0..20 {
            t.settle().await;
            assert_eq!(t.github.take_reviews(pr), [], "round {round}");
        }
        // Even if somebody subscribes the webhook to everything.
        let posted = t.github.deliveries().pop().unwrap().delivery;
        let mut payload = t.github.payload(pr, "submitted");
        payload["review"] = serde_json::json!({"user": {"login": "nectr-bot"}, "state": "commented"});
        let told = posted
            .with_guid("0b0b0b0b-0000-4000-8000-000000000001")
            .with_header("X-GitHub-Event", "pull_request_review")
            .with_body(payload.to_string());
        let sent = t.github.deliver(told).await;
        assert_eq!(sent.answer.status, Some(200));
        assert!(sent.answer.body.contains("event_not_used"), "{}", sent.answer.body);
        t.work().await;
        nothing_posted(t, pr);
    })
    .await;
}

#[tokio::test]
async fn p34_two_people_who_connected_one_repository_get_two_deliveries_and_one_review() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let ada = t.sign_in("ada").await;
        ada.connect(SHOP).await;
        t.deliver().await;
        let pr = t.open_pull(warned);
        assert_eq!(t.deliver().await.len(), 2);
        t.work().await;
        t.take_review(pr);
        assert_eq!(fates(t).await, ["completed reviewed", "completed already_reviewed"]);
        for person in [&octavia, &ada] {
            assert_eq!(listed(person).await.len(), 1);
            assert_eq!(person.see("/api/v1/deliveries").await["items"].as_array().unwrap().len(), 1);
        }
    })
    .await;
}

#[tokio::test]
async fn a_review_costs_five_calls_of_which_two_write() {
    nectr(async |t| {
        t.connected().await;
        let first = t.open_pull(warned);
        t.settle().await;
        t.take_review(first);
        for describe in [clean, warned, blocked] {
            t.github.forget_calls();
            let pr = t.open_pull(describe);
            t.settle().await;
            t.take_review(pr);
            let calls = t.github.calls();
            assert!(calls.len() <= 5, "{calls:#?}");
            assert_eq!(calls.iter().filter(|call| call.method != "GET").count(), 2, "{calls:#?}");
        }
    })
    .await;
}

#[tokio::test]
async fn something_that_blocks_outweighs_what_could_not_be_read() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| blocked(warned(pr)).too_large("data/big.sql"));
        t.settle().await;
        let review = t.take_review(pr);
        assert_eq!((review.state, review.comments.len()), (ReviewState::ChangesRequested, 2));
        assert!(review.body.contains("`data/big.sql`"), "{}", review.body);
        assert_eq!(newest(&octavia).await["verdict"], "REQUEST_CHANGES");
    })
    .await;
}

#[tokio::test]
async fn p42_however_much_there_is_to_say_github_takes_the_text() {
    nectr(async |t| {
        t.connected().await;
        let long = "\u{1f41d}".repeat(180);
        let pr = t.open_pull(|pr| {
            (0..120).fold(pr, |pr, n| {
                let quiet = format!("debugger; // nectr:ignore debug-leftover {long} {n}\n");
                pr.too_large(&format!("big/{long}{n}.sql"))
                    .adds(&format!("src/{long}{n}.js"), "debugger;\n")
                    .adds(&format!("quiet/{long}{n}.js"), &quiet)
                    .raw_patch(&format!("odd/{long}{n}.rs"), "nonsense")
            })
        });
        t.settle().await;
        let review = t.take_review(pr);
        assert!(review.body.ends_with(" base=main -->"), "the marker survives: {}", review.body);
        assert_eq!(t.github.count(CREATE), 1, "nothing was refused");
        for text in std::iter::once(&review.body).chain(review.comments.iter().map(|comment| &comment.body)) {
            assert!(text.chars().count() <= 65_536);
            assert_eq!(text.matches("```").count() % 2, 0, "every fence is closed");
        }
    })
    .await;
}

#[tokio::test]
async fn a13_many_findings_of_one_rule_are_one_comment_that_names_the_others() {
    nectr(async |t| {
        let octavia = t.connected().await;
        let pr = t.open_pull(|pr| (1..=9).fold(pr, |pr, n| pr.modifies(&format!("src/f{n}.js"), OLD_CART, NEW_CART)));
        t.settle().await;
        let review = t.take_review(pr);
        let comment = one_comment(&review);
        assert_eq!((comment.path.as_str(), comment.line), ("src/f1.js", 2));
        for n in 2..=9 {
            assert!(comment.body.contains(&format!("`src/f{n}.js:2`")), "{}", comment.body);
        }
        assert_eq!(newest(&octavia).await["findings_count"], 9);
    })
    .await;
}

#[tokio::test]
async fn s4_a_file_with_other_line_ends_gets_the_comment_without_a_suggestion() {
    nectr(async |t| {
        t.connected().await;
        let windows = |text: &str| text.replace('\n', "\r\n");
        let pr = t.open_pull(|pr| pr.modifies("src/cart.js", &windows(OLD_CART), &windows(NEW_CART)));
        t.settle().await;
        let review = t.take_review(pr);
        let comment = one_comment(&review);
        assert_eq!(comment.line, 2);
        assert!(!comment.body.contains("```suggestion"), "{}", comment.body);
    })
    .await;
}
