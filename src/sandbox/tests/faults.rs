//! Bad days.

use std::time::Duration;

use serde_json::json;

use super::Acme;
use crate::sandbox::{Failure, faults::matches, http};

#[test]
fn patterns_mean_methods_and_paths() {
    assert!(matches("POST /repos/*/*/pulls/*/reviews", "POST", "/api/v3/repos/a/b/pulls/1/reviews"));
    assert!(!matches("POST /repos/*/*/pulls/*/reviews", "GET", "/api/v3/repos/a/b/pulls/1/reviews"));
    assert!(!matches("POST /repos/*/*/pulls/*/reviews", "POST", "/api/v3/repos/a/b/pulls/1/reviews/2"));
    assert!(matches("* /repos/**", "GET", "/api/v3/repos/a/b"));
    assert!(matches("POST /login/oauth/access_token", "POST", "/login/oauth/access_token"));
}

#[tokio::test]
async fn work_can_be_done_and_never_answered() {
    let acme = Acme::new().await;
    acme.github.fail_next("POST /repos/*/*/pulls/*/reviews", Failure::CutAfterWork);
    let body = json!({"body": "lost answer"});
    let answer = acme.ask("nectr-bot", "POST", &acme.pull("/reviews")).json(&body).send().await;
    assert!(matches!(answer, Err(http::Error::Broken(_))), "{answer:?}");
    assert_eq!(acme.github.pending_reviews(acme.pr).len(), 1);

    acme.github.fail_next("POST /repos/*/*/issues/*/comments", Failure::CutBefore);
    let comments = format!("/repos/acme/shop/issues/{}/comments", acme.pr.number);
    assert!(acme.ask("nectr-bot", "POST", &comments).json(&body).send().await.is_err());
    assert!(acme.github.comments("acme/shop", acme.pr.number).is_empty());
    assert_eq!(acme.post("nectr-bot", &comments, body).await.status, 201, "only the next one");
    assert_eq!(acme.github.calls().iter().filter(|call| call.status == 0).count(), 2);
}

#[tokio::test]
async fn an_outage_ends_as_it_began() {
    let acme = Acme::new().await;
    acme.github.outage(true);
    assert_eq!(acme.get("octavia", "/user").await.status, 502);
    acme.github.outage(false);
    assert_eq!(acme.get("octavia", "/user").await.status, 200);
    assert_eq!(acme.github.count("GET /user"), 2);
    assert_eq!(acme.github.calls()[0].user.as_deref(), Some("octavia"));
}

#[tokio::test]
async fn limits_say_how_long_or_say_nothing() {
    let acme = Acme::new().await;
    acme.github.fail_next("* /user", Failure::RateLimited { retry_after: Duration::from_secs(7) });
    let limited = acme.get("octavia", "/user").await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    acme.github.fail_next("* /user", Failure::Secondary);
    let secondary = acme.get("octavia", "/user").await;
    assert_eq!((secondary.status, secondary.header("retry-after")), (403, None));

    acme.github.content_limit(Some(1));
    let comments = format!("/repos/acme/shop/issues/{}/comments", acme.pr.number);
    assert_eq!(acme.post("nectr-bot", &comments, json!({"body": "one"})).await.status, 201);
    let two = acme.post("nectr-bot", &comments, json!({"body": "two"})).await;
    assert_eq!((two.status, two.header("retry-after")), (403, Some("60")));
}

#[tokio::test]
async fn the_same_seed_is_the_same_bad_day() {
    let mut days = Vec::new();
    for _ in 0..2 {
        let acme = Acme::new().await;
        acme.github.fail_share(50, 7);
        for _ in 0..40 {
            let _ = acme.ask("octavia", "GET", "/user").send().await;
        }
        days.push(acme.github.calls().iter().map(|call| call.status).collect::<Vec<_>>());
    }
    assert_eq!(days[0], days[1]);
    let bad = days[0].iter().filter(|status| **status != 200).count();
    assert!((10..=30).contains(&bad), "{:?}", days[0]);
}

#[tokio::test]
async fn a_stopped_sandbox_refuses_connections() {
    let acme = Acme::new().await;
    assert_eq!(acme.get("octavia", "/user").await.status, 200);
    acme.github.fail_next("* /user", Failure::Hang);
    let hanging = tokio::spawn(acme.ask("octavia", "GET", "/user").send());
    while acme.github.count("* /user") < 2 {
        tokio::task::yield_now().await;
    }
    acme.github.stop();
    assert!(hanging.await.unwrap().is_err(), "what hung is cut");
}
