//! Nothing that GitHub sent and that still matters is lost by nectr being down, nor by what happens to its webhook.

use http::Method;
use nectr::{
    run,
    sandbox::{Failure, Pr},
    store::deliveries::Status,
    sweep,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::{
    access::{expect_problem, expect_refusal},
    knowledge::ask,
    sign_in::House,
    support::{Person, SHOP, T, hours, minutes, nectr, nectr_with},
};

const SHOWN: &str = "/api/v1/repos/acme/shop";
const REPAIR: &str = "/api/v1/repos/acme/shop/repair";
const RECORD: &str = "GET /repos/*/*/hooks/*/deliveries";
const AGAIN: &str = "POST /repos/*/*/hooks/*/deliveries/*/attempts";
const ISSUES: &str = "GET /repos/*/*/issues";
const PULLS: &str = "GET /repos/*/*/pulls";

/// A connection that has caught up once, an hour ago.
async fn story(story: impl AsyncFnOnce(&T, &Person)) {
    nectr_with(&[("GRAPH", "off")], async |t| {
        let octavia = t.connected().await;
        t.settle().await;
        t.pass(minutes(11));
        round(t).await;
        t.pass(hours(1));
        t.github.forget_calls();
        story(t, &octavia).await;
    })
    .await;
}

/// What a start does, and the rounds after it, until there is nothing more to do at this hour.
async fn round(t: &T) {
    sweep::once(&t.app).await;
    t.work().await;
    t.settle().await;
}

fn open(t: &T, name: &str) -> Pr {
    t.open_pull(|pr| pr.title(name).adds(&format!("{name}.txt"), "one\n"))
}

/// What was queued is lost: nectr was down.
fn lose(t: &T) -> usize {
    t.github.drop_deliveries().len()
}

async fn caught_up(person: &Person) -> Value {
    person.see(SHOWN).await["catch_up"].clone()
}

/// How the webhook is, and what to do about it.
async fn webhook(person: &Person) -> (String, String) {
    let webhook = &person.see(SHOWN).await["webhook"];
    (webhook["state"].as_str().unwrap().to_owned(), webhook["hint"].as_str().unwrap_or_default().to_owned())
}

fn the_hook(t: &T) -> i64 {
    t.github.hooks_of(SHOP)[0].id
}

#[tokio::test]
async fn what_happened_while_nectr_was_down_is_reviewed_once_and_nothing_else_is_asked_for() {
    story(async |t, octavia| {
        let pushed = open(t, "pushed");
        let closed = open(t, "closed");
        t.settle().await;
        t.take_review(pushed);
        t.take_review(closed);

        let opened = open(t, "opened");
        let draft = t.open_pull(|pr| pr.draft().adds("draft.txt", "one\n"));
        let came_and_went = open(t, "gone");
        t.github.push(pushed, |files| files.adds("more.txt", "two\n"));
        t.github.close(closed);
        t.github.close(came_and_went);
        assert_eq!(lose(t), 6);
        for _ in 0..30 {
            t.github.label(opened, "noise");
        }
        lose(t);
        t.pass(hours(20));
        t.github.forget_calls();
        round(t).await;

        t.take_review(opened);
        t.take_review(pushed);
        for pr in [draft, closed, came_and_went] {
            assert!(t.github.take_reviews(pr).is_empty(), "{pr:?}");
        }
        assert_eq!((t.github.count(RECORD), t.github.count(AGAIN), t.github.count(PULLS)), (1, 6, 0));
        let shown = caught_up(octavia).await;
        assert_eq!((&shown["redelivered"], &shown["looked_at"], &shown["error"]), (&json!(6), &json!(0), &json!(null)));
        let reviews = octavia.see("/api/v1/reviews?search=closed").await;
        assert_eq!(reviews["items"][0]["pr_state"], "closed", "lists say so too");
        assert!(t.deliveries().await.iter().all(|row| !matches!(row.status, Status::Dead | Status::Failed)));

        t.pass(minutes(13));
        t.github.forget_calls();
        round(t).await;
        assert_eq!(t.github.count(AGAIN), 0, "everything has come");
        assert_eq!(webhook(octavia).await, ("ok".to_owned(), String::new()));
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_ahead_for_a_while_hides_nothing() {
    story(async |t, _| {
        round(t).await;
        t.clock.set_back(hours(1));
        t.work().await;
        let missed = open(t, "missed");
        assert_eq!(lose(t), 1);
        t.pass(minutes(13));
        round(t).await;
        t.take_review(missed);
    })
    .await;
}

#[tokio::test]
async fn nothing_new_costs_two_questions_that_github_answers_for_free() {
    story(async |t, octavia| {
        for _ in 0..3 {
            t.pass(minutes(13));
            t.github.forget_calls();
            round(t).await;
            let calls: Vec<_> = t.github.calls().into_iter().map(|call| (call.method, call.status)).collect();
            assert_eq!(calls, vec![("GET".to_owned(), 304); 2], "{:#?}", t.github.calls());
        }
        let before = t.github.calls().len();
        round(t).await;
        assert_eq!(t.github.calls().len(), before, "not before its time");
        assert_eq!(webhook(octavia).await.0, "ok");
    })
    .await;
}

#[tokio::test]
async fn of_seven_hundred_missed_only_the_twenty_seven_that_matter_are_asked_for() {
    story(async |t, _| {
        let mut wanted = Vec::new();
        for n in 0..27 {
            wanted.push(open(t, &format!("change-{n}")));
            for _ in 0..25 {
                t.github.label(wanted[n], "noise");
            }
        }
        let missed = lose(t);
        assert_eq!(missed, 27 * 26);
        t.pass(hours(24));
        t.github.forget_calls();
        round(t).await;
        wanted.into_iter().for_each(|pr| drop(t.take_review(pr)));
        assert_eq!(
            (t.github.count(RECORD), t.github.count(AGAIN), t.github.count(PULLS)),
            (missed.div_ceil(100), 27, 0)
        );
        // The next round, a minute later, finds that all have come, and reads no further back than the last.
        t.pass(minutes(2));
        t.github.forget_calls();
        round(t).await;
        assert_eq!((t.github.count(RECORD), t.github.count(AGAIN)), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_round_that_is_killed_in_the_middle_goes_on_where_it_was() {
    story(async |t, _| {
        let prs: Vec<Pr> = (0..5).map(|n| open(t, &format!("change-{n}"))).collect();
        lose(t);
        t.pass(hours(1));
        sweep::once(&t.app).await;
        t.github.forget_calls();
        // Two have been asked for when the process dies.
        let mut holds = Vec::new();
        for _ in 0..3 {
            holds.push(t.github.hold_next(AGAIN));
        }
        let workers = run::workers(&t.app);
        let dying = tokio::spawn(async move { workers.run_one(&CancellationToken::new()).await });
        for hold in &holds[..2] {
            hold.arrived().await;
            hold.release();
        }
        holds[2].arrived().await;
        dying.abort();
        assert!(dying.await.unwrap_err().is_cancelled());
        holds[2].release();
        t.pass(minutes(2));
        t.settle().await;
        t.settle().await;
        t.pass(minutes(2));
        round(t).await;
        prs.into_iter().for_each(|pr| drop(t.take_review(pr)));
        assert_eq!(t.github.count(RECORD), 3, "a round that died, the one that took over, and the one after it");
        assert!(t.github.count(AGAIN) <= 5 + 3, "{}", t.github.count(AGAIN));
    })
    .await;
}

#[tokio::test]
async fn a_rate_limit_in_the_middle_makes_it_wait_and_go_on() {
    story(async |t, octavia| {
        let prs: Vec<Pr> = (0..5).map(|n| open(t, &format!("change-{n}"))).collect();
        lose(t);
        t.pass(hours(1));
        t.github.forget_calls();
        let reset = t.clock.now() + hours(1);
        // The webhook is a 304; its record and two deliveries are not.
        t.github.rate_limit(&t.github.token_of("octavia"), 4, reset);
        sweep::once(&t.app).await;
        t.work().await;
        let asked =
            t.github.calls().iter().filter(|call| call.path.ends_with("/attempts") && call.status == 202).count();
        assert!((1..5).contains(&asked), "{asked} of 5 before the limit");
        let error = caught_up(octavia).await["error"].as_str().unwrap().to_owned();
        assert!(error.contains("rate limit"), "{error}");
        t.settle().await;
        t.pass(hours(1) + minutes(2));
        t.work().await;
        t.settle().await;
        prs.into_iter().for_each(|pr| drop(t.take_review(pr)));
        assert_eq!(caught_up(octavia).await["error"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn what_is_older_than_githubs_record_is_found_by_looking_at_the_pull_requests() {
    story(async |t, _| {
        let known = open(t, "known");
        let merged = open(t, "merged");
        t.settle().await;
        t.take_review(known);
        t.take_review(merged);
        let old = open(t, "old");
        let draft = t.open_pull(|pr| pr.draft().adds("draft.txt", "one\n"));
        t.github.merge(merged);
        lose(t);
        t.pass(hours(4 * 24));
        let new = open(t, "new");
        lose(t);
        t.pass(hours(1));
        t.github.forget_calls();
        round(t).await;
        t.take_review(old);
        t.take_review(new);
        assert!(t.github.take_reviews(known).is_empty() && t.github.take_reviews(draft).is_empty());
        assert_eq!((t.github.count(PULLS), t.github.count(AGAIN)), (1, 1));
        let octavia = t.sign_in("octavia").await;
        let reviews = octavia.see("/api/v1/reviews?search=merged").await;
        assert_eq!(reviews["items"][0]["pr_state"], "merged");

        t.pass(minutes(13));
        t.github.forget_calls();
        round(t).await;
        assert_eq!(t.github.count(PULLS), 0, "looked at once");
    })
    .await;
}

#[tokio::test]
async fn while_the_record_is_not_shown_to_us_the_pull_requests_are_looked_at_and_it_says_what_to_do() {
    story(async |t, octavia| {
        let pr = open(t, "unseen");
        lose(t);
        t.pass(hours(1));
        // Forbidden, or hidden.
        t.github.fail_next(RECORD, Failure::Status(403, r#"{"message": "Resource not accessible"}"#.to_owned()));
        round(t).await;
        t.take_review(pr);
        let error = caught_up(octavia).await["error"].as_str().unwrap().to_owned();
        assert!(error.contains("Resource not accessible"), "{error}");

        let pr = open(t, "unseen-too");
        lose(t);
        t.pass(minutes(13));
        t.github.repo(SHOP).without("octavia").write("octavia");
        round(t).await;
        t.take_review(pr);
        let (state, hint) = webhook(octavia).await;
        assert!(state == "unknown" && hint.contains("admin rights on acme/shop"), "{state}: {hint}");
        t.github.repo(SHOP).admin("octavia");

        let pr = open(t, "unseen-three");
        lose(t);
        t.pass(minutes(13));
        t.github.revoke_all("octavia");
        round(t).await;
        t.take_review(pr);
        let octavia = t.sign_in("octavia").await;
        let error = caught_up(&octavia).await["error"].as_str().unwrap().to_owned();
        assert!(error.contains("sign in again"), "{error}");
        assert!(webhook(&octavia).await.1.contains("sign in again"));

        t.pass(minutes(13));
        round(t).await;
        assert_eq!(caught_up(&octavia).await["error"], json!(null), "she has");
        assert_eq!(webhook(&octavia).await.0, "failing", "its last delivery was lost, and is on its way again");
        t.pass(minutes(2));
        round(t).await;
        assert_eq!(webhook(&octavia).await.0, "ok");
    })
    .await;
}

#[tokio::test]
async fn what_github_cannot_deliver_again_is_looked_at_after_three_tries() {
    story(async |t, _| {
        let pr = open(t, "stubborn");
        lose(t);
        t.pass(hours(1));
        t.github.forget_calls();
        for _ in 0..5 {
            sweep::once(&t.app).await;
            t.work().await;
            lose(t);
            t.pass(minutes(2));
        }
        round(t).await;
        t.take_review(pr);
        assert_eq!((t.github.count(AGAIN), t.github.count(PULLS)), (3, 1));
    })
    .await;
}

#[tokio::test]
async fn an_outage_of_github_is_waited_out_without_anybody_doing_anything() {
    story(async |t, octavia| {
        let pr = open(t, "patient");
        lose(t);
        t.pass(hours(1));
        t.github.outage(true);
        sweep::once(&t.app).await;
        t.work().await;
        t.github.recover();
        assert_eq!(caught_up(octavia).await["error"], "GitHub is unreachable: GitHub answered 502: Bad Gateway");
        t.pass(minutes(1));
        t.work().await;
        t.settle().await;
        t.take_review(pr);
        assert_eq!(caught_up(octavia).await["error"], json!(null));
    })
    .await;
}

#[tokio::test]
async fn p51_a_webhook_that_does_not_deliver_to_us_is_shown_made_up_for_and_repaired_by_one_call() {
    type Breaks = (&'static str, fn(&T));
    let broken: [Breaks; 4] = [
        ("missing", |t| t.github.delete_hook(the_hook(t))),
        ("inactive", |t| t.github.edit_hook(the_hook(t), |hook| hook.active = false)),
        ("inactive", |t| t.github.edit_hook(the_hook(t), |hook| hook.events = vec!["push".to_owned()])),
        ("repointed", |t| t.github.edit_hook(the_hook(t), |hook| hook.url = "http://127.0.0.1:9/elsewhere".to_owned())),
    ];
    for (state, break_it) in broken {
        story(async |t, octavia| {
            let url = t.github.hooks_of(SHOP)[0].url.clone();
            break_it(t);
            let unheard = open(t, "unheard");
            lose(t);
            t.pass(minutes(13));
            round(t).await;
            let (shown, hint) = webhook(octavia).await;
            assert!(shown == state && hint.contains("repair it"), "{shown}: {hint}");
            t.take_review(unheard);

            let before = open(t, "before-the-repair");
            lose(t);
            t.pass(minutes(2));
            let answer = octavia.post(REPAIR).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"status": "repaired", "repo": SHOP})), "{state}");
            assert_eq!(webhook(octavia).await, ("ok".to_owned(), String::new()));
            let hooks = t.github.hooks_of(SHOP);
            assert_eq!((hooks.len(), hooks[0].active, &hooks[0].url), (1, true, &url));
            t.settle().await;
            t.settle().await;
            t.take_review(before);

            let heard = open(t, "heard");
            t.settle().await;
            t.take_review(heard);
            let answer = octavia.post(REPAIR).await;
            assert_eq!((answer.status, answer.json()), (200, json!({"status": "ok", "repo": SHOP})), "{state}");
            t.settle().await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_webhook_with_another_secret_is_failing_until_it_is_repaired() {
    story(async |t, octavia| {
        t.github.edit_hook(the_hook(t), |hook| hook.secret = Some("somebody else's".into()));
        let pr = open(t, "forged");
        assert_eq!(t.deliver().await[0].answer.status, Some(401));
        t.pass(minutes(13));
        sweep::once(&t.app).await;
        t.work().await;
        let (state, hint) = webhook(octavia).await;
        assert!(state == "failing" && hint.contains("secret"), "{state}: {hint}");
        lose(t);
        t.take_review(pr);
        t.pass(minutes(2));
        assert_eq!(octavia.post(REPAIR).await.json()["status"], "repaired");
        t.settle().await;
        t.settle().await;
        t.pass(minutes(13));
        round(t).await;
        assert_eq!(webhook(octavia).await.0, "ok");
    })
    .await;
}

#[tokio::test]
async fn repairing_says_why_it_cannot_and_is_nobody_elses_business() {
    story(async |t, octavia| {
        let sam = t.sign_in("sam").await;
        expect_problem(&sam.post(REPAIR).await, 404, "Repo not connected");
        expect_problem(&octavia.post("/api/v1/repos/acme/other/repair").await, 404, "Repo not connected");
        assert_eq!(octavia.request(Method::GET, REPAIR).send().await.unwrap().status, 405);

        t.github.delete_hook(the_hook(t));
        t.github.fail_next("POST /repos/*/*/hooks", Failure::Status(502, "bad gateway".to_owned()));
        let detail = expect_refusal(&octavia.post(REPAIR).await, 502);
        assert_eq!(detail, "Failed to repair webhook: GitHub is unreachable");
        t.github.fail_next("POST /repos/*/*/hooks", Failure::CutAfterWork);
        assert_eq!(octavia.post(REPAIR).await.json()["status"], "repaired", "GitHub did it after all");
        assert_eq!(t.github.hooks_of(SHOP).len(), 1);
        t.settle().await;

        t.github.revoke_all("octavia");
        expect_problem(&octavia.post(REPAIR).await, 401, "Session expired — please log out and sign in again.");
    })
    .await;
}

#[tokio::test]
async fn two_processes_that_start_together_catch_up_once() {
    let house = House::build().await;
    if !house.database.is_postgres() {
        // Only PostgreSQL is shared by several processes.
        return;
    }
    let first = house.start(&[("GRAPH", "off")]).await;
    // GitHub knows all replicas by one address.
    let second = house.start(&[("GRAPH", "off"), ("BACKEND_URL", &first.url)]).await;
    first.connected().await;
    first.settle().await;
    let prs: Vec<Pr> = (0..5).map(|n| open(&first, &format!("change-{n}"))).collect();
    lose(&first);
    first.pass(hours(1));
    house.github.forget_calls();
    tokio::join!(sweep::once(&first.app), sweep::once(&second.app));
    tokio::join!(first.work(), second.work());
    assert_eq!((house.github.count(RECORD), house.github.count(AGAIN)), (1, prs.len()));
    house.github.deliver_all().await;
    tokio::join!(first.work(), second.work());
    prs.into_iter().for_each(|pr| drop(first.take_review(pr)));
    first.shut_down().await;
    second.shut_down().await;
    house.database.remove().await;
}

#[tokio::test]
async fn issues_whose_deliveries_github_has_forgotten_are_read_again() {
    nectr(async |t| {
        t.connected().await;
        let (closed, edited) = (t.github.open_issue(SHOP, "sam", "Slow"), t.github.open_issue(SHOP, "sam", "Flaky"));
        t.settle().await;
        t.pass(minutes(11));
        round(t).await;
        t.github.close_issue(SHOP, closed);
        t.github.edit_issue(SHOP, edited, "Very flaky");
        for _ in 0..110 {
            t.github.open_issue(SHOP, "sam", "One of many");
        }
        lose(t);
        t.pass(hours(4 * 24));
        t.github.forget_calls();
        round(t).await;
        assert_eq!((t.github.count(ISSUES), t.github.count(AGAIN)), (2, 0));
        let issues = ask(t, &[], &[closed, edited, edited + 110]).await.issues;
        let known: Vec<_> = issues.iter().map(|issue| (issue.title.as_str(), issue.open)).collect();
        assert_eq!(known, [("Slow", false), ("Very flaky", true), ("One of many", true)]);
    })
    .await;
}
