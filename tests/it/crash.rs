//! Mishaps, again and again, on the real binary under load: nothing that was acknowledged is lost, nothing is posted twice.
//!
//! `NECTR_KILLS` sets how often it is killed (50 by default), `NECTR_MISHAPS` how many mishaps of all kinds there are (20),
//! `NECTR_SEED` when they happen (a run says its own). On PostgreSQL there are two processes, and the server is the test's
//! own where one can be started, so that it can be restarted too. 500 rounds, with figures at the end:
//!
//! `NECTR_MISHAPS=500 cargo test --test it -- whatever_happens --nocapture`

mod world;

use std::{collections::BTreeSet, process::Stdio, time::Duration};

use nectr::{
    domain::Clock,
    sandbox::{Sandbox, http::Request},
    seal,
    store::{
        Store,
        deliveries::{DeliveryFilter, Status},
        work::LEASE,
    },
};
use tokio::{
    process::{Child, Command},
    time::{Instant, interval, timeout},
};

use crate::support::{self, Person, SHOP, database::Database, wall_clock::WallClock};
use world::{Load, MISHAPS, Mishap, Replica, World, signal};

/// How long everything may take to come to rest after the last mishap. A dead worker's lease lasts a minute.
const PATIENCE: Duration = Duration::from_secs(240);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_delivery_is_lost_and_no_review_is_posted_twice() {
    survive(setting("NECTR_KILLS").unwrap_or(50), &[Mishap::Kill]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_nothing_acknowledged_is_lost_and_nothing_is_posted_twice() {
    survive(setting("NECTR_MISHAPS").unwrap_or(20), &MISHAPS).await;
}

#[tokio::test]
async fn a_process_that_slept_through_its_lease_writes_nothing_when_it_wakes() {
    for asleep_while in ["POST /repos/*/*/pulls/*/reviews", "POST /repos/*/*/pulls/*/reviews/*/events"] {
        let Some(clock) = WallClock::new() else { return };
        let database = Database::fresh().await;
        if !database.is_postgres() {
            // Only PostgreSQL is shared by several processes.
            return;
        }
        let mut world = World::over(database, None, Some(clock)).await;
        let sleeper = world.process().logging();
        world.start(sleeper).await;
        let url = world.urls().remove(0);
        Person::sign_in(&url, &world.github, "octavia").await.connect(SHOP).await;
        world.replicas[0].process.come_to_rest().await;
        world.github.drop_deliveries();

        let held = world.github.hold_next(asleep_while);
        let pr = world.github.open_pull(SHOP, |pr| pr.author("sam").adds("src/lib.rs", "fn f() {\n    dbg!(1);\n}\n"));
        world.github.deliver_all().await;
        held.arrived().await;
        signal(&world.replicas[0].running, "-STOP").await;
        world.clock.as_ref().unwrap().forward(2 * LEASE);
        let other = world.process().with(&[("BACKEND_URL", &url)]);
        world.start(other).await;
        world.replicas[1].process.come_to_rest().await;
        assert_eq!(world.github.reviews(pr).len(), 1, "another has done it");

        held.release();
        signal(&world.replicas[0].running, "-CONT").await;
        let Replica { process, running } = world.replicas.remove(0);
        process.end(running).await;
        assert_eq!(world.github.reviews(pr).len(), 1);
        assert_eq!(world.github.pending_reviews(pr), []);
        assert!(process.log().contains("lease lost, stopped"), "{}", process.log());
        let store = Store::open_beside(&world.database.url, Clock::system()).await.unwrap();
        let row = store.list_deliveries(&DeliveryFilter::default(), 1, None).await.unwrap().items.remove(0);
        let attempts = store.delivery(row.id).await.unwrap().unwrap().attempts;
        let results: Vec<_> = attempts.iter().map(|attempt| attempt.result.as_deref()).collect();
        assert_eq!((row.status, results), (Status::Completed, vec![Some("lost"), Some("completed")]));
        drop(store);
        world.replicas.clear();
        world.database.remove().await;
    }
}

fn setting<T: std::str::FromStr>(variable: &str) -> Option<T> {
    std::env::var(variable).ok()?.parse().ok()
}

async fn survive(rounds: usize, mishaps: &[Mishap]) {
    let began = Instant::now();
    let mut chance = Chance::new();
    let mut world = World::new().await;
    let load = Load::default();
    let loading = tokio::spawn(load.clone().run(world.github.clone(), world.urls()));
    let possible: Vec<_> = mishaps.iter().filter(|mishap| world.can(**mishap)).collect();
    for round in 0..rounds {
        let moment = Duration::from_millis(20).mul_f64(1.0 + 24.0 * chance.unit());
        world.run_for(moment).await;
        let which = chance.below(world.replicas.len());
        world.suffer(*possible[round % possible.len()], which, moment).await;
    }
    loading.abort();
    let _ = loading.await;
    world.come_to_rest().await;

    let store = Store::open_beside(&world.database.url, Clock::system()).await.unwrap();
    let rows = store.list_deliveries(&DeliveryFilter::default(), 10_000_000, None).await.unwrap().items;
    let stored: BTreeSet<_> = rows.iter().map(|row| row.guid.clone()).collect();
    let acknowledged = load.acknowledged.lock().unwrap().clone();
    let lost: Vec<_> = acknowledged.keys().filter(|guid| !stored.contains(*guid)).collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    let unfinished: Vec<_> = rows.iter().filter(|row| row.status != Status::Completed).collect();
    assert!(unfinished.is_empty(), "not completed: {unfinished:#?}");

    let opened = load.opened.lock().unwrap().clone();
    assert!(acknowledged.len() > rounds, "the load was too light to mean anything: {}", acknowledged.len());
    let mut reviews = 0;
    for pr in &opened {
        let posted = world.github.reviews(*pr).len();
        assert!(posted <= 1, "{posted} reviews of pull request {}", pr.number);
        assert!(world.github.pending_reviews(*pr).is_empty(), "a draft was left on pull request {}", pr.number);
        reviews += posted;
    }
    for pr in acknowledged.values() {
        assert_eq!(world.github.reviews(*pr).len(), 1, "reviews of pull request {}", pr.number);
    }
    println!(
        "{rounds} mishaps in {} s: {} deliveries sent, {} acknowledged, 0 lost; {reviews} reviews, 0 twice",
        began.elapsed().as_secs(),
        opened.len(),
        acknowledged.len()
    );
    drop(store);
    world.database.remove().await;
}

/// When things happen: the same seed, the same moments.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let seed = setting("NECTR_SEED").unwrap_or_else(|| (seal::random_unit() * 1e9) as u64);
        println!("NECTR_SEED={seed}");
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// Uniform in `0.0..1.0`.
    fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.unit() * limit as f64) as usize
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
