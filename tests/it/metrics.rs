//! What Prometheus is told, and who may ask.

use nectr::{
    sandbox::{
        Failure, Sandbox,
        http::{Request, Response},
    },
    store::{installations::HookState, upkeep::Waits},
    sweep,
};
use tokio::time::{Duration, interval};

use crate::{
    crash::Process,
    support::{self, Person, SHOP, T, database::Database, hours, minutes, nectr, nectr_with},
};

async fn scrape(t: &T) -> Response {
    Request::get(format!("{}/metrics", t.url)).send().await.unwrap()
}

/// The value of a series, 0 where there is none yet.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

#[tokio::test]
async fn what_happens_is_counted() {
    nectr(async |t| {
        let before = scrape(t).await.text();
        t.connected().await;
        let pr = t.open_pull(|pr| pr.adds("src/price.rs", "fn price() {}\n"));
        t.settle().await;
        t.take_review(pr);

        let answer = scrape(t).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
        let after = answer.text();
        // Other stories of this process count too: at least this much was added.
        for (series, least) in [
            ("nectr_deliveries_received_total{status=\"202\"}", 1.0),
            ("nectr_intake_seconds_count", 1.0),
            ("nectr_work_total{result=\"completed\",source=\"delivery\"}", 1.0),
            ("nectr_review_seconds_count", 1.0),
            ("nectr_reviews_total{verdict=\"APPROVE\"}", 1.0),
            ("nectr_work_attempts_bucket{source=\"delivery\",le=\"1\"}", 1.0),
            ("nectr_github_requests_total{status=\"2xx\"}", 4.0),
        ] {
            let added = value(&after, series) - value(&before, series);
            assert!(added >= least, "{series} grew by {added}\n{after}");
        }
        assert!(value(&after, "nectr_github_rate_limit_remaining{resource=\"core\"}") > 0.0, "{after}");
        assert!(
            after.contains("nectr_queue{state=\"queued\"}") && after.contains("nectr_queue_oldest_seconds"),
            "{after}"
        );
        for there in ["nectr_waiting{source=\"delivery\",status=\"parked\"}", "nectr_webhooks{state=\"missing\"}"] {
            assert!(after.contains(there), "{there}\n{after}");
        }
        assert!(value(&after, "process_resident_memory_bytes") > 1e6 && value(&after, "process_open_fds") > 3.0);
        assert!(!after.contains("acme") && !after.contains("octavia"), "names are no labels\n{after}");
    })
    .await;
}

#[tokio::test]
async fn with_a_token_only_its_bearer_may_read() {
    nectr_with(&[("METRICS_TOKEN", "let me see")], async |t| {
        let ask = async |authorization: Option<&str>| {
            let request = Request::get(format!("{}/metrics", t.url));
            match authorization {
                Some(value) => request.header("Authorization", value),
                None => request,
            }
            .send()
            .await
            .unwrap()
        };
        for wrong in [None, Some("Bearer let me in"), Some("Bearer "), Some("let me see"), Some("Basic let me see")] {
            let answer = ask(wrong).await;
            assert_eq!(answer.status, 401, "{wrong:?}");
            assert_eq!(answer.json(), serde_json::json!({"detail": "Unauthorized"}));
        }
        assert_eq!(ask(Some("Bearer let me see")).await.status, 200);
    })
    .await;
}

#[tokio::test]
async fn in_production_without_a_token_only_this_machine_may_read() {
    let settings = [("APP_ENV", "production")];
    nectr_with(&settings, async |t| {
        assert_eq!(scrape(t).await.status, 200);
        let forwarded = Request::get(format!("{}/metrics", t.url)).header("X-Forwarded-For", "203.0.113.9");
        let answer = forwarded.send().await.unwrap();
        assert_eq!(answer.status, 403);
        assert_eq!(answer.json()["detail"], "Set METRICS_TOKEN to read metrics from another machine");
    })
    .await;
}

/// Scrapes until `series` is at least this.
async fn grown(url: &str, series: &str, least: f64) -> String {
    let mut beat = interval(Duration::from_millis(20));
    loop {
        beat.tick().await;
        let text = Request::get(format!("{url}/metrics")).send().await.unwrap().text();
        if value(&text, series) >= least {
            return text;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_is_counted_however_github_says_it_and_only_the_bots_is_watched() {
    const LIMITED: &str = "nectr_github_requests_total{status=\"limited\"}";
    let github = Sandbox::start().await.unwrap();
    support::populate(&github);
    let database = Database::fresh().await;
    // A process of its own: other stories of this one count too.
    let process = Process::new(&github, &database);
    let running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    let (bot, soon) = (github.token_of("nectr-bot"), chrono::Utc::now() + chrono::TimeDelta::hours(1));

    // 200, and the limit is in the answer.
    github.graphql_rate_limit(&bot, 0, soon);
    octavia.connect(SHOP).await;
    let text = grown(&process.url, LIMITED, 1.0).await;
    assert!(value(&text, "nectr_github_rate_limit_remaining{resource=\"core\"}") > 1000.0, "{text}");

    // What a person has left says nothing about the bot.
    github.rate_limit(&github.token_of("octavia"), 17, soon);
    assert_eq!(octavia.get("/api/v1/repos").await.status, 200);
    let text = Request::get(format!("{}/metrics", process.url)).send().await.unwrap().text();
    assert!(value(&text, "nectr_github_rate_limit_remaining{resource=\"core\"}") > 1000.0, "{text}");

    // 403 with nothing left.
    let before = value(&text, LIMITED);
    github.rate_limit(&bot, 0, soon);
    github.open_pull(SHOP, |pr| pr.author("sam").adds("src/price.rs", "fn price() {}\n"));
    github.deliver_all().await;
    let text = grown(&process.url, LIMITED, before + 1.0).await;
    assert_eq!(value(&text, "nectr_github_rate_limit_remaining{resource=\"core\"}"), 0.0, "{text}");
    process.end(running).await;
    database.remove().await;
}

#[tokio::test]
async fn what_waits_is_told_by_what_for_and_webhooks_by_how_they_are() {
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        let waits = async || t.app.store.queue_depth().await.unwrap().deliveries;
        let first = t.open_pull(|pr| pr.adds("src/price.rs", "fn price() {}\n"));
        t.deliver().await;
        assert_eq!(waits().await, Waits { queued: 1, failed: 0, parked: 0 });
        t.github.fail_next("GET /repos/*/*/pulls/*/files", Failure::Status(418, "{}".into()));
        t.work().await;
        let second = t.open_pull(|pr| pr.adds("src/tax.rs", "fn tax() {}\n"));
        t.deliver().await;
        t.github.outage(true);
        t.work().await;
        assert_eq!(waits().await, Waits { queued: 0, failed: 1, parked: 1 });
        t.github.recover();
        t.pass(hours(1)).work().await;
        assert_eq!(waits().await, Waits::default());
        t.take_review(first);
        t.take_review(second);

        let webhooks = async || {
            sweep::once(&t.app).await;
            t.work().await;
            let known = t.app.store.webhooks().await.unwrap();
            known.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>()
        };
        assert_eq!(webhooks().await, [(HookState::Ok, 1)]);
        t.github.delete_hook(t.github.hooks_of(SHOP)[0].id);
        t.pass(minutes(13));
        assert_eq!(webhooks().await, [(HookState::Missing, 1)]);
    })
    .await;
}
