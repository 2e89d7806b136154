//! Asking for what was learned: who may, in which order things are checked, and what is said when it cannot be told.

use std::time::Duration;

use futures_util::future::join_all;
use nectr::{
    domain::{InstallationId, task::TaskKind},
    inbox::NewTask,
    sandbox::{Failure, http::Request},
    store::{deliveries::Status, lease::End},
};
use serde_json::json;

use super::{RESCAN, learned, rescan, scanned, shop, state, until_answered};
use crate::{
    access::expect_problem,
    support::{minutes, nectr, nectr_with},
};

const ROUTES: [(&str, &str); 4] = [("POST", "rescan"), ("GET", "files"), ("GET", "graph"), ("GET", "profile")];

#[tokio::test]
async fn rescans_at_the_same_time_share_one_run() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.forget_calls();
        let answers = until_answered(t, {
            let octavia = octavia.clone();
            async move { join_all((0..3).map(|_| octavia.post(RESCAN))).await }
        })
        .await;
        for answer in answers {
            assert_eq!((answer.status, answer.json()), (200, scanned(4)));
        }
        let calls = t.github.count("GET /repos/*/*/git/trees/*");
        assert!((2..=6).contains(&calls), "{calls}: files and profile, at most once for each who asked");
    })
    .await;
}

#[tokio::test]
async fn a_rescan_whose_caller_leaves_goes_on() {
    nectr(async |t| {
        let octavia = learned(t).await;
        super::push(t, |files| files.adds("src/new.rs", "// new\n"));
        let asked = octavia.request(http::Method::POST, RESCAN).timeout(Duration::from_millis(300)).send().await;
        assert!(asked.is_err(), "nobody works yet");
        assert_eq!(state(&octavia, "graph").await["status"], "queued");
        t.work().await;
        assert_eq!(state(&octavia, "graph").await["status"], "done");
        assert_eq!(super::paths(&octavia).await.len(), 5);
    })
    .await;
}

#[tokio::test]
async fn a_rescan_that_fails_says_why_and_is_tried_again_without_the_caller() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.outage(true);
        // Who may see the repository was heard a moment ago.
        let answer = rescan(t, &octavia).await;
        expect_problem(&answer, 500, "Rescan failed: GitHub is unreachable");
        t.work().await;
        let failed = state(&octavia, "graph").await;
        assert_eq!((&failed["status"], &failed["error"]), (&json!("failed"), &json!("GitHub is unreachable")));
        assert!(failed["finished_at"].is_string(), "it did end well once");
        t.github.recover();
        t.pass(minutes(1)).work().await;
        assert_eq!(state(&octavia, "graph").await["status"], "done");
    })
    .await;
}

#[tokio::test]
async fn of_what_went_wrong_only_a_sentence_is_told_and_the_story_is_the_operator_s() {
    nectr(async |t| {
        let octavia = learned(t).await;
        for pattern in ["GET /repos/*/*/git/trees/*", "GET /repos/*/*/git/trees/*", "POST /graphql"] {
            t.github.fail_next(pattern, Failure::Status(400, json!({"message": "shard 10.1.2.3 says no"}).to_string()));
        }
        expect_problem(&rescan(t, &octavia).await, 500, "Rescan failed: GitHub's answer could not be used");
        t.work().await;
        for (what, kind) in [("graph", TaskKind::Graph), ("scan", TaskKind::Scan)] {
            assert_eq!(state(&octavia, what).await["error"], "GitHub's answer could not be used", "{what}");
            let task = t.app.store.latest_task(kind, &t.app.task_key(kind, shop(t))).await.unwrap().unwrap();
            assert!(task.error.unwrap().contains("shard 10.1.2.3 says no"), "the operator is told");
        }
    })
    .await;
}

#[tokio::test]
async fn who_asks_for_a_rescan_while_one_runs_waits_for_that_one() {
    nectr(async |t| {
        let octavia = learned(t).await;
        let repo = t.app.store.connected_repository(shop(t)).await.unwrap().unwrap();
        let key = t.app.task_key(TaskKind::Graph, repo.id);
        let payload = json!({});
        let (kind, installation) = (TaskKind::Graph, InstallationId::OPERATOR);
        t.app.inbox.enqueue(NewTask { kind, key, installation, repo, number: None, payload }).await.unwrap();
        let running = t.app.store.claim().await.unwrap().unwrap();
        let asked = octavia.request(http::Method::POST, RESCAN).timeout(Duration::from_millis(300)).send().await;
        assert!(asked.is_err(), "it waits");
        let end = End::Finished { status: Status::Completed, outcome: "unchanged".to_owned() };
        t.app.store.finish(running.lease, &end).await.unwrap();
        t.github.forget_calls();
        t.work().await;
        assert_eq!(t.github.count("GET /repos/*/*/git/trees/*"), 1, "for the profile");
    })
    .await;
}

#[tokio::test]
async fn a_rescan_does_not_wait_for_a_retry() {
    nectr(async |t| {
        let octavia = learned(t).await;
        t.github.fail_next("GET /repos/*/*/git/trees/*", Failure::RateLimited { retry_after: Duration::from_secs(60) });
        assert_eq!(rescan(t, &octavia).await.status, 500);
        t.pass(minutes(2));
        assert_eq!(rescan(t, &octavia).await.json(), scanned(4));
    })
    .await;
}

#[tokio::test]
async fn without_a_graph_only_the_profile_is_there() {
    nectr_with(&[("GRAPH", "off")], async |t| {
        let octavia = learned(t).await;
        for (method, route) in ROUTES {
            let path = format!("/api/v1/repos/acme/shop/{route}");
            let answer = octavia.request(method.parse().unwrap(), &path).send().await.unwrap();
            match route {
                "profile" => assert_eq!(answer.status, 200, "{}", answer.text()),
                _ => expect_problem(&answer, 503, "Neo4j not configured"),
            }
        }
        let health = Request::get(format!("{}/health", t.url)).send().await.unwrap();
        assert_eq!(health.json()["graph"], json!({"backend": "off", "status": "off"}));
        assert!(
            t.app
                .store
                .latest_task(TaskKind::Graph, &t.app.task_key(TaskKind::Graph, shop(t)))
                .await
                .unwrap()
                .is_none()
        );
    })
    .await;
}

#[tokio::test]
async fn what_was_learned_is_for_those_who_connected_the_repository() {
    nectr(async |t| {
        learned(t).await;
        let ada = t.sign_in("ada").await;
        for (method, route) in ROUTES {
            let ask = async |repo: &str| {
                let path = format!("/api/v1/repos/{repo}/{route}");
                ada.request(method.parse().unwrap(), &path).send().await.unwrap()
            };
            expect_problem(&ask("acme/shop").await, 404, "Repo not connected");
            expect_problem(&ask("acme/nothing").await, 404, "Repo not connected");
            for bad in ["ac%20me/shop", "acme/..%2fshop", "acme/sh%00p"] {
                let answer = ask(bad).await;
                assert!(matches!(answer.status, 404 | 422), "{bad}: {}", answer.text());
            }
            let answer = ask("acme/sh%20op").await;
            assert_eq!(answer.status, 422, "{}", answer.text());
            let nobody = Request::new(method.parse().unwrap(), format!("{}/api/v1/repos/acme/shop/{route}", t.url));
            assert_eq!(nobody.send().await.unwrap().status, 401);
        }
    })
    .await;
}

#[tokio::test]
async fn health_tells_how_the_graph_is() {
    nectr(async |t| {
        let health = Request::get(format!("{}/health", t.url)).send().await.unwrap();
        assert_eq!((health.status, &health.json()["graph"]), (200, &json!({"backend": "database", "status": "ok"})));
    })
    .await;
}
