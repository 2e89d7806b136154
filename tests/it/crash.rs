//! Mishaps, again and again, on the real binary under load: nothing that was acknowledged is lost, nothing is posted twice.
//!
//! `NECTR_KILLS` sets how often it is killed (50 by default), `NECTR_MISHAPS` how many mishaps of all kinds there are (20).

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use nectr::{
    domain::Clock,
    sandbox::{Delivery, Failure, Pr, Sandbox, http::Request},
    seal,
    store::{
        Store,
        deliveries::{DeliveryFilter, Status},
    },
};
use sea_orm::{ConnectionTrait, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::{
    process::{Child, Command},
    time::{Instant, interval, timeout},
};

use crate::support::{self, Person, SHOP, database::Database};

/// How long everything may take to come to rest after the last kill. On PostgreSQL a dead worker's lease lasts a minute.
const PATIENCE: Duration = Duration::from_secs(240);

/// What was sent and answered with a 2xx: delivery GUID and pull request.
type Acknowledged = Arc<Mutex<BTreeMap<String, Pr>>>;

/// What happens to a process or to what it relies on.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    /// kill -9.
    Kill,
    /// It does not run for a while and does not know.
    Freeze,
    /// Its database hangs up, or (a file) is taken by somebody else for a while.
    Database,
    /// It is told to stop, and started again.
    Restart,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_delivery_is_lost_and_no_review_is_posted_twice() {
    survive(count("NECTR_KILLS", 50), |_| Mishap::Kill).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_nothing_acknowledged_is_lost_and_nothing_is_posted_twice() {
    survive(count("NECTR_MISHAPS", 20), |n| {
        [Mishap::Freeze, Mishap::Kill, Mishap::Database, Mishap::Restart, Mishap::Database][n % 5]
    })
    .await;
}

fn count(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|count| count.parse().ok()).unwrap_or(usual)
}

async fn survive(rounds: usize, mishap: impl Fn(usize) -> Mishap) {
    let database = Database::fresh().await;
    let github = Sandbox::start().await.unwrap();
    support::populate(&github);
    github.latency(Duration::from_millis(4));
    let process = Process::new(&github, &database);

    let mut running = process.start().await;
    let octavia = Person::sign_in(&process.url, &github, "octavia").await;
    octavia.connect(SHOP).await;
    github.drop_deliveries();

    let acknowledged = Acknowledged::default();
    let load = tokio::spawn(load(github.clone(), acknowledged.clone()));
    for round in 0..rounds {
        let moment = Duration::from_millis(20).mul_f64(1.0 + 24.0 * seal::random_unit());
        // The process must not end by itself, so this is the wait for the moment of the mishap.
        assert!(timeout(moment, running.wait()).await.is_err(), "nectr ended by itself");
        match mishap(round) {
            Mishap::Kill => {
                running.kill().await.unwrap();
                running = process.start().await;
            }
            Mishap::Restart => {
                signal(&running, "-TERM").await;
                assert!(running.wait().await.unwrap().success(), "a process that is told to stop ends well");
                running = process.start().await;
            }
            Mishap::Freeze => {
                signal(&running, "-STOP").await;
                let thawed = timeout(10 * moment, running.wait()).await;
                assert!(thawed.is_err(), "a frozen process does not end");
                signal(&running, "-CONT").await;
            }
            Mishap::Database => disturb(&database, moment).await,
        }
    }
    load.abort();
    let _ = load.await;
    process.come_to_rest().await;
    running.kill().await.unwrap();

    let acknowledged = acknowledged.lock().unwrap().clone();
    let store = Store::open_beside(&database.url, Clock::system()).await.unwrap();
    let rows = store.list_deliveries(&DeliveryFilter::default(), 1_000_000, None).await.unwrap().items;
    let stored: BTreeSet<_> = rows.iter().map(|row| row.guid.clone()).collect();
    let lost: Vec<_> = acknowledged.keys().filter(|guid| !stored.contains(*guid)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let unfinished: Vec<_> = rows.iter().filter(|row| row.status != Status::Completed).collect();
    assert!(unfinished.is_empty(), "not completed: {unfinished:#?}");

    let pulls: BTreeSet<_> = acknowledged.values().map(|pr| pr.number).collect();
    assert!(pulls.len() > rounds, "the load was too light to mean anything: {} pull requests", pulls.len());
    for pr in acknowledged.values() {
        let reviews = github.reviews(*pr).len();
        assert_eq!(reviews, 1, "reviews of pull request {}", pr.number);
        assert!(github.pending_reviews(*pr).is_empty(), "a draft was left on pull request {}", pr.number);
    }
    println!("{rounds} mishaps, {} acknowledged deliveries: 0 lost, 0 duplicate reviews", acknowledged.len());
    drop(store);
    database.remove().await;
}

async fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    let kill = format!("kill {signal} {id}");
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
}

/// Ends all connections to a PostgreSQL database, as its restart does; holds a SQLite database's only lock for a while.
async fn disturb(database: &Database, moment: Duration) {
    let connection = sea_orm::Database::connect(&database.url).await.unwrap();
    if database.is_postgres() {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid()";
        connection.execute_unprepared(others).await.unwrap();
    } else {
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        };
        let held = connection.begin_with_options(immediate).await.unwrap();
        let mut hold = interval(moment);
        hold.tick().await;
        hold.tick().await;
        held.rollback().await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Opens pull requests and delivers them, each in a task of its own, until aborted. Now and then GitHub does the work of
/// a write and cuts the connection before it answers.
async fn load(github: Sandbox, acknowledged: Acknowledged) {
    let mut beat = interval(Duration::from_millis(12));
    for n in 0u32.. {
        beat.tick().await;
        let pr = github.open_pull(SHOP, |pr| {
            pr.title(&format!("Change {n}"))
                .author("sam")
                .adds(&format!("src/part_{n}.rs"), "fn part() {\n    dbg!(1);\n}\n")
        });
        if n % 7 == 0 {
            github.fail_next("POST /repos/*/*/pulls/*/reviews", Failure::CutAfterWork);
        }
        if n % 11 == 0 {
            github.fail_next("POST /repos/*/*/pulls/*/reviews/*/events", Failure::CutAfterWork);
        }
        for delivery in github.drop_deliveries() {
            tokio::spawn(deliver(delivery, pr, acknowledged.clone()));
        }
    }
}

async fn deliver(delivery: Delivery, pr: Pr, acknowledged: Acknowledged) {
    if delivery.send().await.status.is_some_and(|status| (200..300).contains(&status)) {
        acknowledged.lock().unwrap().insert(delivery.guid.to_lowercase(), pr);
    }
}

/// The real binary, started again and again with the same settings.
pub struct Process {
    pub url: String,
    settings: Vec<(String, String)>,
    folder: tempfile::TempDir,
    log: Option<std::fs::File>,
    role: &'static str,
}

impl Process {
    pub fn new(github: &Sandbox, database: &Database) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut settings: Vec<_> = support::settings(github, &database.url, &free).into_iter().collect();
        // In production the bot's token comes from GITHUB_PAT alone, not from whoever is logged in on this machine.
        settings.push(("APP_ENV".into(), "production".into()));
        settings.push(("RUST_LOG".into(), "warn".into()));
        Self { url: format!("http://{free}"), settings, folder: tempfile::tempdir().unwrap(), log: None, role: "all" }
    }

    /// The same with these settings.
    pub fn with(mut self, settings: &[(&str, &str)]) -> Self {
        for (name, value) in settings {
            self.settings.retain(|(known, _)| known != name);
            self.settings.push(((*name).to_owned(), (*value).to_owned()));
        }
        self
    }

    /// The same, half of it.
    pub fn only(mut self, role: &'static str) -> Self {
        self.role = role;
        self
    }

    /// The same, keeping what it logs instead of passing it on.
    pub fn logging(mut self) -> Self {
        self.log = Some(std::fs::File::create(self.folder.path().join("log")).unwrap());
        self
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Asks it to end, and waits until it has.
    pub async fn end(&self, mut running: Child) {
        let pid = running.id().unwrap().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
        let ended = timeout(Duration::from_secs(60), running.wait()).await.expect("nectr ends when it is told to");
        assert!(ended.unwrap().success());
    }

    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Child {
        let child = Command::new(env!("CARGO_BIN_EXE_nectr"))
            .args(["serve", "--role", self.role])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(self.log.as_ref().map_or_else(Stdio::inherit, |log| log.try_clone().unwrap().into()))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let ready = async {
            let mut beat = interval(Duration::from_millis(5));
            loop {
                beat.tick().await;
                let asked = Request::get(format!("{}/health/ready", self.url)).send().await;
                if asked.is_ok_and(|answer| answer.status == 200) {
                    return;
                }
            }
        };
        timeout(Duration::from_secs(30), ready).await.expect("nectr is ready within 30 s");
        child
    }

    /// Waits until nothing is queued or running.
    async fn come_to_rest(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut beat = interval(Duration::from_millis(200));
        loop {
            beat.tick().await;
            let health = Request::get(format!("{}/health", self.url)).send().await.unwrap().json();
            let queue = &health["queue"];
            if queue["queued"] == 0 && queue["running"] == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "nectr does not come to rest: {queue}");
        }
    }
}
