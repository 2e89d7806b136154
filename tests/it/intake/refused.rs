//! Which refusal wins, what else the address does not take, and that a refusal hurts nobody who comes after it.

use http::Method;
use nectr::sandbox::http::Request;
use serde_json::json;

use super::{
    PATH, expect_problem, labeled, last_id, opened, ready, received, reviewed, said,
    wire::{Wire, head, header, length},
    without,
};
use crate::support::nectr;

#[tokio::test]
async fn p24_the_address_takes_nothing_but_posts() {
    nectr(async |t| {
        for method in [Method::GET, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let answer = Request::new(method.clone(), format!("{}{PATH}", t.url)).send().await.unwrap();
            assert_eq!(answer.status, 405, "{method}");
            assert_eq!(answer.header("allow"), Some("POST"), "{method}");
            assert!(answer.json()["detail"].is_string(), "{method}: {}", answer.text());
        }
        let head = Request::new(Method::HEAD, format!("{}{PATH}", t.url)).send().await.unwrap();
        assert_eq!(head.status, 405);
    })
    .await;
}

#[tokio::test]
async fn size_comes_first_then_headers_then_the_signature_and_only_then_what_is_said() {
    nectr(async |t| {
        ready(t).await;
        let good = labeled(t);
        let broken = good.clone().with_body("{");
        let unsigned = without(broken.clone(), "X-Hub-Signature-256");
        let no_event = without(unsigned.clone(), "X-GitHub-Event");
        let plain = no_event.clone().with_header("Content-Type", "text/plain");

        // Everything is wrong with the first; each next one has one fault less.
        let mut wire = Wire::open(t).await;
        wire.send(head(&plain, &[&length(26 * 1024 * 1024)])).await;
        expect_problem(&wire.answer().await.1, 413);
        expect_problem(&plain.send().await, 415);
        expect_problem(&no_event.send().await, 400);
        assert!(no_event.send().await.body.contains("X-GitHub-Event"));
        assert_eq!(said(&unsigned.send().await), (401, json!({"detail": "Invalid webhook signature"})));
        expect_problem(&broken.send().await, 400);
        assert_eq!(good.send().await.status, Some(200));
    })
    .await;
}

#[tokio::test]
async fn a_connection_goes_on_after_a_refusal() {
    nectr(async |t| {
        ready(t).await;
        let (pr, good) = opened(t);
        let mut wire = Wire::open(t).await;
        let refused = [
            (401, good.clone().with_header("X-Hub-Signature-256", "sha256=00")),
            (400, good.clone().with_body("{")),
            (401, good.clone().with_header("X-GitHub-Hook-ID", "x")),
        ];
        for (status, delivery) in refused {
            wire.send(head(&delivery, &[&length(delivery.body.len())])).await;
            wire.send(&delivery.body).await;
            let (head, answer) = wire.answer().await;
            expect_problem(&answer, status);
            assert_eq!(header(&head, "content-type"), Some("application/json"));
            assert_eq!(header(&head, "connection"), None, "{status} keeps the connection");
        }
        wire.send(head(&good, &[&length(good.body.len())])).await;
        wire.send(&good.body).await;
        let (_, answer) = wire.answer().await;
        assert_eq!(said(&answer), received(last_id(t).await, "pull_request.opened"));
        reviewed(t, pr).await;
    })
    .await;
}

#[tokio::test]
async fn whoever_is_refused_before_the_body_is_read_is_told_that_the_connection_ends() {
    nectr(async |t| {
        ready(t).await;
        let (_, good) = opened(t);
        let refused = [
            (400, good.clone().with_guid("none")),
            (400, good.clone().with_header("X-GitHub-Event", "No")),
            (415, good.clone().with_header("Content-Type", "text/plain")),
            (415, good.clone().with_header("Content-Encoding", "gzip")),
        ];
        for (status, delivery) in refused {
            let mut wire = Wire::open(t).await;
            wire.send(head(&delivery, &[&length(delivery.body.len())])).await;
            let (head, answer) = wire.answer().await;
            expect_problem(&answer, status);
            assert_eq!(header(&head, "connection"), Some("close"), "{status}");
            assert!(wire.is_closed().await, "{status}");
        }
    })
    .await;
}
