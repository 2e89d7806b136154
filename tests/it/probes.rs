//! What can be asked of a process that only works, and how containers ask.

use std::process::Output;

use http::Method;
use nectr::{
    config::Config,
    domain::Clock,
    run::{self, Roles},
    sandbox::{Sandbox, http::Request},
};
use serde_json::Value;
use tokio::{net::TcpListener, process::Command};
use tokio_util::sync::CancellationToken;

use crate::{
    crash::Process,
    support::{self, Person, SHOP, database::Database, nectr},
};

#[tokio::test]
async fn a_worker_tells_how_it_is_and_its_numbers_and_nothing_else() {
    let (database, github) = (Database::fresh().await, Sandbox::start().await.unwrap());
    support::populate(&github);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut settings = support::settings(&github, &database.url, &address);
    settings.insert("METRICS_TOKEN".to_owned(), "let me see".to_owned());
    let config = Config::from_lookup(|name| settings.get(name).cloned()).unwrap();
    let app = run::prepare(config, Clock::system()).await.unwrap();
    let stop = CancellationToken::new();
    let roles = Roles { api: false, worker: true };
    let running = tokio::spawn(run::run(app, listener, roles, stop.clone().cancelled_owned()));
    let ask = async |method: Method, path: &str| {
        Request::new(method, format!("http://{address}{path}")).send().await.unwrap()
    };

    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = ask(Method::GET, path).await;
        assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")), "{path}");
        assert!(answer.header("x-request-id").is_some(), "{path}");
    }
    assert_eq!(ask(Method::POST, "/health/live").await.status, 405);
    assert_eq!(ask(Method::GET, "/metrics").await.status, 401);
    let numbers = Request::get(format!("http://{address}/metrics")).bearer("let me see").send().await.unwrap();
    assert_eq!(numbers.status, 200);
    assert!(numbers.text().contains("nectr_build_info"), "{}", numbers.text());

    let api = ["/", "/dashboard", "/docs", "/openapi.json", "/auth/github", "/auth/me", "/api/v1/repos", "/nowhere"];
    for path in api {
        let answer = ask(Method::GET, path).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().starts_with("This process is a worker"), "{path}");
    }
    assert_eq!(ask(Method::POST, "/api/v1/webhooks/github").await.status, 404);

    stop.cancel();
    running.await.unwrap().unwrap();
    database.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_and_a_worker_share_the_work_and_each_counts_its_own() {
    let (database, github) = (Database::fresh().await, Sandbox::start().await.unwrap());
    support::populate(&github);
    let (api, worker) = (Process::new(&github, &database), Process::new(&github, &database));
    if !database.is_postgres() {
        // A SQLite database has one process, which does everything.
        return;
    }
    let backend = ("BACKEND_URL", api.url.clone());
    let (api, worker) = (api.only("api"), worker.with(&[(backend.0, &backend.1)]).only("worker"));
    let (answering, working) = (api.start().await, worker.start().await);
    let octavia = Person::sign_in(&api.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    let pr = github.open_pull(SHOP, |pr| pr.author("sam").adds("src/price.rs", "fn price() {}\n"));
    github.deliver_all().await;
    let mut beat = tokio::time::interval(std::time::Duration::from_millis(20));
    while github.reviews(pr).is_empty() {
        beat.tick().await;
    }
    let numbers =
        async |process: &Process| Request::get(format!("{}/metrics", process.url)).send().await.unwrap().text();
    let (of_api, of_worker) = (numbers(&api).await, numbers(&worker).await);
    let (received, reviewed) = ("nectr_deliveries_received_total{status=\"202\"}", "nectr_reviews_total");
    assert!(of_api.contains(received) && !of_api.contains(reviewed), "{of_api}");
    assert!(of_worker.contains(reviewed) && !of_worker.contains(received), "{of_worker}");
    api.end(answering).await;
    worker.end(working).await;
    database.remove().await;
}

/// What the image runs to see whether a nectr at `port` is well.
async fn health(check: &[String], port: &str) -> Output {
    let mut nectr = Command::new(env!("CARGO_BIN_EXE_nectr"));
    nectr.args(check).env_clear().env("APP_ENV", "production").env("PORT", port).output().await.unwrap()
}

#[tokio::test]
async fn the_health_checks_of_image_and_compose_see_whether_nectr_is_ready() {
    let compose: Value = serde_saphyr::from_str(include_str!("../../compose.yaml")).unwrap();
    let of_compose: Vec<String> =
        serde_json::from_value(compose["services"]["nectr"]["healthcheck"]["test"].clone()).unwrap();
    let dockerfile = include_str!("../../Dockerfile");
    let of_image = dockerfile.split_once("HEALTHCHECK ").unwrap().1.split_once(" CMD ").unwrap().1;
    let of_image: Vec<String> = serde_json::from_str(of_image.lines().next().unwrap()).unwrap();
    assert_eq!(of_compose, ["CMD", "/usr/local/bin/nectr", "health"]);
    assert_eq!(of_image, of_compose[1..]);

    nectr(async |t| {
        let (host, port) = t.url.rsplit_once(':').unwrap();
        let well = health(&of_image[1..], port).await;
        let said = String::from_utf8(well.stdout).unwrap();
        assert_eq!((well.status.code(), said), (Some(0), format!("ok  {host}:{port}/health/ready\n")));

        t.app.draining.store(true, std::sync::atomic::Ordering::SeqCst);
        let ending = health(&of_image[1..], port).await;
        let said = String::from_utf8(ending.stderr).unwrap();
        let expected = format!("nectr: {host}:{port}/health/ready answers 503: Shutting down\n");
        assert_eq!((ending.status.code(), said), (Some(1), expected));
    })
    .await;
}

#[tokio::test]
async fn while_a_review_is_being_ended_whoever_asks_is_told_that_this_process_takes_no_more() {
    let (database, github) = (Database::fresh().await, Sandbox::start().await.unwrap());
    support::populate(&github);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let settings = support::settings(&github, &database.url, &address);
    let config = Config::from_lookup(|name| settings.get(name).cloned()).unwrap();
    let app = run::prepare(config, Clock::system()).await.unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(run::run(app.clone(), listener, Roles::ALL, stop.clone().cancelled_owned()));
    let ask = async |path: &str| Request::get(format!("http://{address}{path}")).send().await.unwrap().status;

    let octavia = Person::sign_in(&format!("http://{address}"), &github, "octavia").await;
    octavia.connect(SHOP).await;
    let hold = github.hold_next("POST /repos/*/*/pulls/*/reviews");
    let pr = github.open_pull(SHOP, |pull| pull.author("sam").adds("src/more.rs", "pub fn more() {}\n"));
    github.deliver_all().await;
    hold.arrived().await;
    stop.cancel();
    while ask("/health/ready").await != 503 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask("/health/live").await, 200);
    hold.release();
    running.await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
    assert_eq!(github.reviews(pr).len(), 1);
    database.remove().await;
}
