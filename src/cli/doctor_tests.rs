//! What doctor says of a machine that is well, and of the ways it can be unwell.

#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::store::users::SignIn;

fn config(more: &[(&str, &str)]) -> Config {
    Config::for_sandbox("http://127.0.0.1:1", "http://127.0.0.1:1", "sqlite:///nowhere/x.db", more).unwrap()
}

#[tokio::test]
async fn a_taken_port_fails_unless_nectr_itself_has_it() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = taken.local_addr().unwrap();
    let stranger = tokio::spawn(async move { drop(taken.accept().await) });
    let (finding, serving) = address(listen).await;
    assert!(matches!(finding, Fail(text) if text.contains("is taken")) && !serving);
    stranger.await.unwrap();
    assert!(matches!(address(listen).await, (Fine(_), false)));
}

#[tokio::test]
async fn looking_at_a_database_that_is_not_there_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/deep/nectr.db", folder.path().display());
    let finding = database(&config(&[("DATABASE_URL", &url)]), false).await.0;
    assert!(matches!(finding, Fine(text) if text.contains("will be made")));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let blocked = format!("sqlite://{}/file/nectr.db", folder.path().display());
    std::fs::write(folder.path().join("file"), "").unwrap();
    let finding = database(&config(&[("DATABASE_URL", &blocked)]), false).await.0;
    assert!(matches!(finding, Fail(text) if text.contains("set DATABASE_URL")));
}

#[tokio::test]
async fn a_database_somebody_serves_fails_unless_that_is_the_server_we_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/nectr.db", folder.path().display());
    let config = config(&[("DATABASE_URL", &url)]);
    let store = Store::open(&url, Clock::system()).await.unwrap();
    assert!(matches!(database(&config, false).await.0, Fail(text) if text.contains("another nectr")));
    assert!(matches!(database(&config, true).await.0, Fine(text) if text.contains("will apply")));
    store.migrate().await.unwrap();
    assert!(matches!(database(&config, true).await.0, Fine(text) if text.contains("up to date")));
}

#[tokio::test]
async fn what_github_cannot_reach_is_said() {
    for near in ["http://localhost:8000", "http://127.0.0.1", "http://192.168.1.5", "http://[::1]:80"] {
        let said = outside::webhooks(&config(&[("BACKEND_URL", near)]), true).await;
        assert!(matches!(said, Warn(text) if text.contains("set BACKEND_URL")), "{near}");
    }
}

/// Answers one request with this.
async fn once(status: &str, body: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/health/live", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    tokio::spawn(async move {
        let mut stream = listener.accept().await.unwrap().0;
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    url
}

#[tokio::test]
async fn our_own_public_address_is_tried() {
    let reach = async |live: &str, serving| outside::reach(live, "the receiver", serving).await;
    let well = once("200", r#"{"status":"ok"}"#).await;
    assert_eq!(reach(&well, true).await, Fine("the receiver: a nectr answers there".to_owned()));
    for (status, body) in [("200", "<h1>It works!</h1>"), ("404", r#"{"detail":"?"}"#), ("502", "")] {
        let other = reach(&once(status, body).await, true).await;
        assert!(matches!(&other, Warn(text) if text.contains(status) && text.contains("BACKEND_URL")), "{other:?}");
    }
    assert!(matches!(reach(&once("502", "").await, false).await, Fine(text) if text.contains("a proxy is there")));

    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let live = format!("http://{nobody}/health/live");
    assert!(matches!(reach(&live, true).await, Warn(text) if text.contains("cannot be reached from here")));
    assert!(matches!(reach(&live, false).await, Warn(text) if text.contains("ask again while nectr")));
}

#[tokio::test]
async fn a_code_graph_that_is_off_or_away_is_a_warning_that_says_what_to_do() {
    assert!(matches!(graph(&config(&[])).await, Fine(_)));
    assert!(matches!(graph(&config(&[("GRAPH", "off")])).await, Warn(text) if text.contains("GRAPH")));
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let away = graph(&config(&[("NEO4J_URI", &format!("bolt://{nobody}"))])).await;
    assert!(
        matches!(&away, Warn(text) if text.contains("NEO4J_URI") && text.contains(&nobody.to_string())),
        "{away:?}"
    );
}

#[tokio::test]
async fn every_problem_of_the_settings_is_a_line_and_no_secret_is_shown() {
    let line = "serve --app-env production --port x --secret-key hunter2 --database-url sqlite:///nowhere/x.db";
    let command = <Flags as clap::Args>::augment_args(clap::Command::new("serve"));
    let flags = <Flags as clap::FromArgMatches>::from_arg_matches(&command.get_matches_from(line.split(' '))).unwrap();
    let mut out = Vec::new();
    assert!(run(&flags, &mut out).await.unwrap_err().is::<Failed>());
    let text = String::from_utf8(out).unwrap();
    let line = |name: &str| text.lines().find(|line| line[6..].starts_with(&format!("{name} "))).unwrap();
    assert!(line("PORT").starts_with("fail") && line("PORT").contains("must be a number"));
    assert!(line("SECRET_KEY").starts_with("fail") && line("SECRET_KEY").contains("32 bytes"));
    assert_eq!(line("APP_ENV"), format!("ok    {:<1$}  production (flag)", "APP_ENV", width()));
    assert_eq!(line("DATABASE_URL"), format!("ok    {:<1$}  set (flag)", "DATABASE_URL", width()));
    assert!(!text.contains("hunter2"));
}

#[tokio::test]
async fn it_says_when_the_previous_key_is_needed_no_longer() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/nectr.db", folder.path().display());
    let (old, new) = ("the key that was before, all of it", "the key that is now, every byte of it");
    let store = Store::open(&url, Clock::system()).await.unwrap();
    store.migrate().await.unwrap();
    let sealed_with = async |id: i64, key: &str| {
        let token = Sealer::new(&key.into(), None)
            .seal(crate::seal::Place { table: "users", column: "token", github_user: id, repo: None }, "gho_token");
        let who = SignIn { github_id: id, login: "ada".to_owned(), name: None, email: None, avatar_url: None, token };
        store.open_session(who, &format!("session-{id}"), chrono::Utc::now()).await.unwrap();
    };
    let alone = config(&[("DATABASE_URL", &url), ("SECRET_KEY", new)]);
    let both = config(&[("DATABASE_URL", &url), ("SECRET_KEY", new), ("SECRET_KEY_PREVIOUS", old)]);
    let said = async |config: &Config| match sealed(config, &store).await {
        Fine(text) => format!("ok {text}"),
        Warn(text) => format!("warn {text}"),
        Fail(text) => format!("fail {text}"),
    };
    sealed_with(1, new).await;
    assert!(said(&both).await.starts_with("ok all 1 row(s) have SECRET_KEY: SECRET_KEY_PREVIOUS can go"));
    sealed_with(2, old).await;
    assert!(said(&both).await.starts_with("ok 1 row(s) still sealed with the previous key: keep SECRET_KEY_PREVIOUS"));
    assert!(said(&alone).await.starts_with("warn 1 row(s) cannot be opened: set SECRET_KEY_PREVIOUS"));
}
