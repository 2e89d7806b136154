//! What an OTLP collector is told by the real binary: one trace from intake to effect, the numbers, and no secret. And that
//! a collector which is away or does not answer costs nothing.

use std::collections::BTreeSet;

use nectr::sandbox::{CLIENT_SECRET, Pr, Sandbox, http::Request};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use tokio::time::{Duration, interval};

use crate::{
    crash::Process,
    support::{
        self, Person, SHOP,
        collector::{Collector, Span, count},
        database::Database,
    },
};

/// What the collector wants to see.
const PASSWORD: &str = "open-sesame-4711";
const HEADERS: (&str, &str) = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20open-sesame-4711");
/// Somebody else's trace.
const THEIRS: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const THEIR_SPAN: &str = "00f067aa0ba902b7";

fn traceparent() -> String {
    format!("00-{THEIRS}-{THEIR_SPAN}-01")
}

async fn world() -> (Database, Sandbox) {
    let github = Sandbox::start().await.unwrap();
    support::populate(&github);
    (Database::fresh().await, github)
}

/// A pull request that is delivered and reviewed.
async fn a_reviewed_pull(github: &Sandbox) -> Pr {
    let pr = github.open_pull(SHOP, |pr| pr.author("sam").adds("src/price.rs", "fn price() {\n    dbg!(1);\n}\n"));
    for delivery in github.drop_deliveries() {
        let answer = delivery.with_header("traceparent", &traceparent()).send().await;
        assert!(matches!(answer.status, Some(200 | 202)), "{answer:?}");
    }
    let mut beat = interval(Duration::from_millis(20));
    while github.reviews(pr).is_empty() {
        beat.tick().await;
    }
    pr
}

/// Waits until nothing waits.
async fn rest(url: &str) {
    let mut beat = interval(Duration::from_millis(20));
    loop {
        beat.tick().await;
        let health = Request::get(format!("{url}/health")).send().await.unwrap().json();
        if health["queue"]["queued"] == 0 && health["queue"]["running"] == 0 {
            return;
        }
    }
}

/// The one span that this is true of.
#[track_caller]
fn one(spans: &[Span], wanted: impl Fn(&Span) -> bool) -> &Span {
    let found: Vec<_> = spans.iter().filter(|span| wanted(span)).collect();
    assert_eq!(found.len(), 1, "{found:#?}\namong {:#?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

/// Whether a span's parents lead to another one.
fn is_below(spans: &[Span], span: &Span, top: &Span) -> bool {
    span.trace == top.trace
        && (span.parent == top.id
            || spans.iter().any(|parent| parent.id == span.parent && is_below(spans, parent, top)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_goes_from_a_delivery_to_its_review_and_no_secret_is_in_it() {
    let collector = Collector::start().await;
    let (database, github) = world().await;
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test"),
        ("RUST_LOG", "info"),
        ("LOG_FORMAT", "json"),
        HEADERS,
    ];
    let process = Process::new(&github, &database).with(&more).logging();
    let running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    rest(&process.url).await;
    github.deliver_all().await;
    let pr = a_reviewed_pull(&github).await;
    rest(&process.url).await;
    let list = octavia.see("/api/v1/deliveries?event=pull_request").await;
    let stored = octavia.see(&format!("/api/v1/deliveries/{}", list["items"][0]["id"])).await;
    let asked = Request::get(format!("{}/health/live", process.url)).header("traceparent", &traceparent());
    assert_eq!(asked.send().await.unwrap().status, 200);
    process.end(running).await;

    let spans = collector.spans();
    // The request that brought the delivery: first of its trace, whatever its sender said.
    let intake = one(&spans, |span| span.get("event") == "pull_request");
    assert_eq!((intake.name.as_str(), intake.kind), ("POST /api/v1/webhooks/github", SpanKind::Server as i32));
    assert_eq!(intake.parent, "", "a sender decides nothing");
    assert_ne!(intake.trace, THEIRS);
    let number = pr.number.to_string();
    for (key, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/api/v1/webhooks/github"),
        ("http.response.status_code", "202"),
        ("action", "opened"),
        ("vcs.repository.name", SHOP),
        ("vcs.change.id", number.as_str()),
    ] {
        assert_eq!(intake.get(key), value, "{key} of {intake:#?}");
    }
    assert_eq!(intake.get("guid").len(), 36, "{intake:#?}");
    assert_eq!(intake.resource["service.name"], "nectr");
    assert_eq!(intake.resource["deployment.environment.name"], "test");

    // The attempt at it, and what was asked of GitHub and of the code graph.
    let attempt = one(&spans, |span| span.name == "delivery pull_request");
    assert_eq!((&attempt.trace, &attempt.parent), (&intake.trace, &intake.id));
    assert_eq!(attempt.kind, SpanKind::Consumer as i32);
    assert_eq!((attempt.get("attempt"), attempt.get("outcome")), ("1", "reviewed"), "{attempt:#?}");
    assert_eq!(attempt.get("id"), intake.get("delivery"));
    let below: BTreeSet<_> =
        spans.iter().filter(|span| is_below(&spans, span, attempt)).map(|span| span.name.as_str()).collect();
    for name in [
        "GitHub GET /repos/{owner}/{repo}/pulls/{}",
        "GitHub GET /repos/{owner}/{repo}/pulls/{}/files",
        "GitHub POST /repos/{owner}/{repo}/pulls/{}/reviews",
        "ask the code graph",
    ] {
        assert!(below.contains(name), "no {name:?} in {below:#?}");
    }
    let posted = one(&spans, |span| span.name == "GitHub POST /repos/{owner}/{repo}/pulls/{}/reviews");
    assert_eq!((posted.trace.as_str(), posted.kind), (intake.trace.as_str(), SpanKind::Client as i32));
    assert_eq!(posted.get("http.response.status_code"), "200", "{posted:#?}");
    assert!(!posted.failed);

    // What is learned of a repository belongs to whoever connected it.
    let install = one(&spans, |span| span.get("http.route").ends_with("/install"));
    let learned: Vec<_> = spans.iter().filter(|span| span.name.starts_with("task ")).collect();
    assert!(!learned.is_empty() && learned.iter().any(|task| task.trace == install.trace), "{learned:#?}");

    // An API call goes on in its caller's trace.
    let called = one(&spans, |span| span.trace == THEIRS);
    assert_eq!((called.parent.as_str(), called.name.as_str()), (THEIR_SPAN, "GET /health/live"));

    // What is stored: the sender's word beside ours.
    assert_eq!(stored["id"].to_string(), intake.get("delivery"), "{stored}");
    assert_eq!(stored["headers"]["traceparent"], traceparent());
    assert_eq!(stored["headers"]["nectr-traceparent"], format!("00-{}-{}-01", intake.trace, intake.id));

    // Log lines name the span they were written in.
    let log = process.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = lines.iter().find(|line| line["message"] == "done" && line["source"] == "delivery").unwrap();
    assert_eq!((&done["trace_id"], &done["span_id"]), (&attempt.trace.as_str().into(), &attempt.id.as_str().into()));
    assert!(!log.contains("does not take telemetry"), "{log}");

    // The numbers are those of /metrics, histograms included.
    let metrics = collector.metrics();
    assert_eq!(count(&metrics["nectr_review_seconds"]), 1);
    assert!(count(&metrics["nectr_work_attempts"]) >= 2);
    for name in ["nectr_github_requests_total", "nectr_github_rate_limit_remaining", "nectr_queue", "nectr_graph_up"] {
        assert!(metrics.contains_key(name), "no {name}");
    }

    // Only the collector's own header holds a secret.
    let messages = collector.messages();
    let bot = github.token_of("nectr-bot");
    let person = github.token_of("octavia");
    let secrets = [
        &bot,
        &person,
        &octavia.token,
        CLIENT_SECRET,
        PASSWORD,
        "a key for tests",
        "sha256=",
        "code=",
        "x-hub-signature",
    ];
    for message in &messages {
        assert_eq!(message.headers["authorization"], format!("Bearer {PASSWORD}"));
        assert_eq!(message.headers["content-type"], "application/x-protobuf");
        let text = String::from_utf8_lossy(&message.body);
        for secret in secrets {
            assert!(!text.contains(secret), "{} holds {secret:?}", message.path);
        }
    }
    for secret in secrets {
        assert!(!log.contains(secret), "the log holds {secret:?}\n{log}");
    }
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_retry_belongs_to_the_trace_of_the_delivery_and_a_failure_shows() {
    let collector = Collector::start().await;
    let (database, github) = world().await;
    let more = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()), ("OTEL_METRICS_EXPORTER", "none")];
    let process = Process::new(&github, &database).with(&more);
    let running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    rest(&process.url).await;
    github.deliver_all().await;
    let failure = nectr::sandbox::Failure::Status(418, "{}".into());
    github.fail_next("GET /repos/*/*/pulls/*/files", failure);
    github.open_pull(SHOP, |pr| pr.author("sam").adds("src/price.rs", "fn price() {}\n"));
    let sent = github.deliver_all().await;
    let failed = async {
        let mut beat = interval(Duration::from_millis(20));
        loop {
            beat.tick().await;
            let list = octavia.see("/api/v1/deliveries?event=pull_request").await;
            if list["items"][0]["status"] == "failed" {
                return;
            }
        }
    };
    failed.await;
    // The same delivery again makes it due now.
    github.redeliver(&sent[0].delivery.guid).await;
    rest(&process.url).await;
    process.end(running).await;

    let spans = collector.spans();
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "delivery pull_request").collect();
    let first = spans.iter().find(|span| span.get("event") == "pull_request").unwrap();
    assert_eq!(attempts.len(), 2, "{attempts:#?}");
    for attempt in &attempts {
        assert_eq!((&attempt.trace, &attempt.parent), (&first.trace, &first.id));
    }
    assert!(attempts[0].failed && attempts[0].get("error.message").contains("teapot"), "{attempts:#?}");
    assert_eq!((attempts[1].failed, attempts[1].get("attempt")), (false, "2"), "{attempts:#?}");
    let refused = one(&spans, |span| span.get("http.response.status_code") == "418");
    assert!(refused.failed && is_below(&spans, refused, attempts[0]), "{refused:#?}");
    assert!(collector.messages().iter().all(|message| message.path == "/v1/traces"));
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_busy_collector_does_not_take_is_sent_again_and_what_it_never_will_is_not() {
    let collector = Collector::start().await;
    let (database, github) = world().await;
    let at_once = [("Retry-After", "0")];
    collector.refuse(400, &at_once);
    collector.refuse(503, &at_once);
    collector.refuse(429, &at_once);
    let traces = format!("{}/somewhere/else", collector.url);
    // The address for all is nobody's: what is said of one signal goes before it.
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", traces.as_str()),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("LOG_FORMAT", "json"),
    ];
    let process = Process::new(&github, &database).with(&more).logging();
    let running = process.start().await;
    let mut beat = interval(Duration::from_millis(20));
    while collector.messages().len() < 5 {
        beat.tick().await;
        // Something to tell of.
        assert_eq!(Request::get(format!("{}/health/live", process.url)).send().await.unwrap().status, 200);
    }
    process.end(running).await;

    let messages = collector.messages();
    assert!(messages.iter().all(|message| message.path == "/somewhere/else"));
    let sent = |n: usize| messages.iter().filter(|message| message.body == messages[n].body).count();
    assert_eq!([0, 1, 2, 3, 4].map(sent), [1, 3, 3, 3, 1]);
    let log = process.log();
    assert_eq!(log.matches("does not take telemetry").count(), 1, "{log}");
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_never_answers_holds_up_neither_serving_nor_the_end() {
    let collector = Collector::that_hangs().await;
    let (database, github) = world().await;
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        // Whoever waited for it would wait for ten minutes.
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
    ];
    let process = Process::new(&github, &database).with(&more);
    let running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    collector.asked("/v1/traces").await;
    collector.asked("/v1/metrics").await;
    a_reviewed_pull(&github).await;
    process.end(running).await;
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_is_mentioned_once_and_its_password_never() {
    let (database, github) = world().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let more = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", url.as_str()),
        ("OTEL_METRIC_EXPORT_INTERVAL", "100"),
        ("RUST_LOG", "debug"),
        ("LOG_FORMAT", "pretty"),
        HEADERS,
    ];
    let process = Process::new(&github, &database).with(&more).logging();
    let running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    a_reviewed_pull(&github).await;
    rest(&process.url).await;
    process.end(running).await;

    let log = process.log();
    assert_eq!(log.matches("does not take telemetry").count(), 1, "{log}");
    assert!(!log.contains(PASSWORD), "{log}");
    let done = log.lines().find(|line| line.contains(" done ") || line.contains(": done")).unwrap();
    let ids = regex::Regex::new(" trace_id=[0-9a-f]{32} span_id=[0-9a-f]{16}$").unwrap();
    assert!(ids.is_match(done), "{done}");
    database.remove().await;
}
