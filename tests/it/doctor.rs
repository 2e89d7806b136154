//! What `nectr doctor` says of everything nectr depends on, asked as an operator asks: by its command.

use nectr::{domain::InstallationId, sandbox::Sandbox, store::installations::HookState};
use secrecy::ExposeSecret;
use tokio::process::Command;

use crate::support::{self, SHOP, T, collector::Collector, nectr};

/// Its lines by what they are about, and how it exits.
struct Report {
    text: String,
    code: Option<i32>,
}

impl Report {
    /// What it says of something: `ok`, `warn` or `fail`, and the rest.
    #[track_caller]
    fn of(&self, name: &str) -> (&str, &str) {
        let line = self.text.lines().find(|line| line[6..].starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("nothing of {name} in\n{}", self.text));
        (line[..4].trim(), line[6 + name.len()..].trim())
    }
}

async fn doctor(github: &Sandbox, database_url: &str, more: &[(&str, &str)]) -> Report {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ran = Command::new(env!("CARGO_BIN_EXE_nectr"))
        .arg("doctor")
        .current_dir(folder.path())
        .env_clear()
        .envs(support::settings(github, database_url, &free))
        .env("APP_ENV", "production")
        .envs(more.iter().copied())
        .output()
        .await
        .unwrap();
    Report { text: String::from_utf8(ran.stdout).unwrap(), code: ran.status.code() }
}

/// Of the nectr of a story, whose database it looks into beside it.
async fn beside(t: &T, more: &[(&str, &str)]) -> Report {
    let port = t.url.rsplit(':').next().unwrap().to_owned();
    let all: Vec<_> = more.iter().copied().chain([("PORT", port.as_str())]).collect();
    doctor(&t.github, t.app.config.database_url.expose_secret(), &all).await
}

#[tokio::test]
async fn everything_an_operator_depends_on_has_a_line() {
    let collector = Collector::start().await;
    let nobody = format!("http://{}/in", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    nectr(async |t| {
        t.connected().await;
        t.deliver().await;
        collector.refuse(401, &[]);
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", nobody.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=hunter2"),
            ("NEO4J_URI", "bolt://127.0.0.1:1"),
        ];
        let report = beside(t, &settings).await;
        assert_eq!(report.code, Some(0), "{}", report.text);
        assert_eq!(report.of("address").0, "ok");
        assert_eq!(report.of("connections"), ("ok", "webhooks: 1 ok"));
        assert_eq!(report.of("database"), ("ok", "answers, and its schema is up to date"));
        let (mark, graph) = report.of("code graph");
        assert!(mark == "warn" && graph.contains("NEO4J_URI"), "{graph}");
        let (mark, webhooks) = report.of("webhooks");
        assert!(mark == "warn" && webhooks.contains("GitHub cannot reach"), "{webhooks}");
        let (mark, github) = report.of("github");
        assert!(mark == "ok" && github.starts_with("the bot is nectr-bot on"), "{github}");
        assert_eq!(report.of("github rights"), ("ok", "a classic token with the scope repo"));
        let (mark, limit) = report.of("github limit");
        assert!(mark == "ok" && limit.contains(" of 5000 requests are left until "), "{limit}");
        assert_eq!(report.of("clock"), ("ok", "agrees with GitHub's to 10 s"));
        let (mark, traces) = report.of("traces");
        assert!(mark == "warn" && traces.contains("/v1/traces: it answered 401"), "{traces}");
        let (mark, metrics) = report.of("metrics");
        assert!(mark == "warn" && metrics.starts_with(&nobody), "{metrics}");
        let (mark, sealed) = report.of("sealed secrets");
        assert!(mark == "ok" && sealed.starts_with("2 row(s)"), "{sealed}");
        assert!(!report.text.contains("hunter2"), "{}", report.text);

        let tried = collector.messages();
        assert_eq!((tried.len(), tried[0].path.as_str(), tried[0].body.len()), (1, "/v1/traces", 0));
        assert_eq!(tried[0].headers["authorization"], "hunter2");
        assert_eq!(
            beside(t, &settings).await.of("traces"),
            ("ok", &*format!("{}/v1/traces takes them", collector.url))
        );
    })
    .await;
}

#[tokio::test]
async fn a_bot_without_rights_or_requests_and_connections_that_are_unwell_are_said() {
    nectr(async |t| {
        let octavia = t.sign_in("octavia").await;
        let id = InstallationId(octavia.connect(SHOP).await);
        t.settle().await;
        t.app.store.note_hook(id, HookState::Missing, Some("repair it")).await.unwrap();
        let poor = t.github.token_with("nectr-bot", &["read:user"]);
        t.github.rate_limit(&poor, 17, chrono::Utc::now() + chrono::TimeDelta::days(9000));
        let report = beside(t, &[("GITHUB_PAT", &poor)]).await;
        let (mark, rights) = report.of("github rights");
        assert!(mark == "warn" && rights.contains("without the scope repo"), "{rights}");
        let (mark, limit) = report.of("github limit");
        assert!(mark == "warn" && limit.starts_with("16 of 5000"), "{limit}");
        let (mark, connections) = report.of("connections");
        let expected = format!("webhooks: 1 missing; {SHOP}: its webhook is missing: repair it");
        assert_eq!((mark, connections), ("warn", expected.as_str()));

        t.github.revoke(&poor);
        let report = beside(t, &[("GITHUB_PAT", &poor)]).await;
        let (mark, github) = report.of("github");
        assert!(mark == "warn" && github.contains("set GITHUB_PAT"), "{github}");
        let nobody = format!("http://{}", std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
        let report = beside(t, &[("GITHUB_API_URL", &nobody)]).await;
        let (mark, github) = report.of("github");
        assert!(mark == "warn" && github.starts_with(&format!("nothing answers rightly at {nobody}")), "{github}");
    })
    .await;
}
