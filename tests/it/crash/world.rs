//! Processes, what they rely on, and all that happens to both.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use nectr::{
    sandbox::{Delivery, Failure, Pr, Sandbox},
    store::work::LEASE,
};
use sea_orm::{ConnectionTrait, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::{
    process::{Child, Command},
    time::{interval, timeout},
};

use super::Process;
use crate::support::{
    self, Person, SHOP,
    cluster::{Cluster, Stop},
    database::Database,
    hours,
    wall_clock::WallClock,
};

/// What happens to a process or to what it relies on.
#[derive(Debug, Clone, Copy)]
pub enum Mishap {
    /// kill -9.
    Kill,
    /// It does not run for a while and does not know.
    Freeze,
    /// So long that its leases are over when it goes on.
    Oversleep,
    /// It is told to stop, and started again.
    Restart,
    /// Its database hangs up, or (a file) is taken by somebody else for a while.
    Database,
    /// The database's server stops and starts again.
    Server(Stop),
    /// The clock is set forward an hour.
    Forward,
    /// The clock is set back an hour.
    Back,
    /// The clock is set forward while the process is dead.
    ForwardWhileDead,
    /// The clock is set back while the process is dead.
    BackWhileDead,
}

/// One of each, in an order that brings the clock back to where it was.
pub const MISHAPS: [Mishap; 11] = [
    Mishap::Freeze,
    Mishap::Kill,
    Mishap::Forward,
    Mishap::Server(Stop::Fast),
    Mishap::Restart,
    Mishap::Back,
    Mishap::Database,
    Mishap::BackWhileDead,
    Mishap::Oversleep,
    Mishap::Server(Stop::Immediate),
    Mishap::ForwardWhileDead,
];

/// Processes that share a GitHub, a database and a clock.
pub struct World {
    pub github: Sandbox,
    pub database: Database,
    cluster: Option<Cluster>,
    pub clock: Option<WallClock>,
    pub replicas: Vec<Replica>,
}

pub struct Replica {
    pub process: Process,
    pub running: Child,
}

impl World {
    /// With [`SHOP`] connected: two processes on PostgreSQL, one on SQLite.
    pub async fn new() -> Self {
        let mut database = Database::fresh().await;
        let cluster = if database.is_postgres() { Cluster::start() } else { None };
        if let Some(cluster) = &cluster {
            database.remove().await;
            database = Database::fresh_on(&cluster.url()).await;
        }
        let mut world = Self::over(database, cluster, WallClock::new()).await;
        world.github.latency(Duration::from_millis(4));
        let first = world.process();
        let url = first.url.clone();
        world.start(first).await;
        if world.database.is_postgres() {
            let second = world.process().with(&[("BACKEND_URL", &url)]);
            world.start(second).await;
        }
        let octavia = Person::sign_in(&url, &world.github, "octavia").await;
        octavia.connect(SHOP).await;
        world.github.drop_deliveries();
        world
    }

    /// Without processes yet.
    pub async fn over(database: Database, cluster: Option<Cluster>, clock: Option<WallClock>) -> Self {
        let github = Sandbox::start().await.unwrap();
        support::populate(&github);
        Self { github, database, cluster, clock, replicas: Vec::new() }
    }

    pub fn process(&self) -> Process {
        let settings = self.clock.as_ref().map(WallClock::settings).unwrap_or_default();
        let settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Process::new(&self.github, &self.database).with(&settings)
    }

    pub async fn start(&mut self, process: Process) {
        let running = process.start().await;
        self.replicas.push(Replica { process, running });
    }

    pub fn urls(&self) -> Vec<String> {
        self.replicas.iter().map(|replica| replica.process.url.clone()).collect()
    }

    pub fn can(&self, mishap: Mishap) -> bool {
        match mishap {
            Mishap::Server(_) => self.cluster.is_some(),
            Mishap::Oversleep | Mishap::Forward | Mishap::Back | Mishap::ForwardWhileDead | Mishap::BackWhileDead => {
                self.clock.is_some()
            }
            Mishap::Kill | Mishap::Freeze | Mishap::Restart | Mishap::Database => true,
        }
    }

    /// Nothing happens for a while; no process ends by itself.
    pub async fn run_for(&mut self, moment: Duration) {
        let first = &mut self.replicas[0].running;
        assert!(timeout(moment, first.wait()).await.is_err(), "nectr ended by itself");
        for replica in &mut self.replicas {
            assert!(replica.running.try_wait().unwrap().is_none(), "nectr ended by itself");
        }
    }

    pub async fn suffer(&mut self, mishap: Mishap, which: usize, moment: Duration) {
        let Self { database, cluster, clock, replicas, .. } = self;
        let replica = &mut replicas[which];
        let clock = || clock.as_ref().unwrap();
        match mishap {
            Mishap::Kill => replica.die(|| {}).await,
            Mishap::ForwardWhileDead => replica.die(|| clock().forward(hours(1))).await,
            Mishap::BackWhileDead => replica.die(|| clock().back(hours(1))).await,
            Mishap::Forward => clock().forward(hours(1)),
            Mishap::Back => clock().back(hours(1)),
            Mishap::Freeze => replica.sleep(4 * moment, || {}).await,
            Mishap::Oversleep => replica.sleep(4 * moment, || clock().forward(2 * LEASE)).await,
            Mishap::Restart => {
                signal(&replica.running, "-TERM").await;
                assert!(replica.running.wait().await.unwrap().success(), "a process that is told to stop ends well");
                replica.running = replica.process.start().await;
            }
            Mishap::Database => disturb(database, moment).await,
            Mishap::Server(how) => tokio::task::block_in_place(|| cluster.as_ref().unwrap().restart(how)),
        }
    }

    /// Waits until nothing is queued or running, and ends all processes.
    pub async fn come_to_rest(&mut self) {
        if let Some(clock) = &self.clock {
            // The leases of the dead need not be waited for.
            clock.forward(2 * LEASE);
        }
        self.replicas[0].process.come_to_rest().await;
        for replica in &mut self.replicas {
            replica.running.kill().await.unwrap();
        }
    }
}

impl Replica {
    /// Is killed and started again; something happens in between.
    pub async fn die(&mut self, meanwhile: impl FnOnce()) {
        self.running.kill().await.unwrap();
        meanwhile();
        self.running = self.process.start().await;
    }

    /// Does not run for a while; something happens meanwhile.
    pub async fn sleep(&mut self, time: Duration, meanwhile: impl FnOnce()) {
        signal(&self.running, "-STOP").await;
        meanwhile();
        let thawed = timeout(time, self.running.wait()).await;
        assert!(thawed.is_err(), "a frozen process does not end");
        signal(&self.running, "-CONT").await;
    }
}

pub async fn signal(process: &Child, signal: &str) {
    let id = process.id().expect("it runs").to_string();
    let kill = format!("kill {signal} {id}");
    assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
}

/// Ends all connections to a PostgreSQL database; holds a SQLite database's only lock for a while.
pub async fn disturb(database: &Database, moment: Duration) {
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

/// Pull requests that are opened, and what became of their deliveries.
#[derive(Clone, Default)]
pub struct Load {
    pub opened: Arc<Mutex<BTreeSet<Pr>>>,
    /// What was answered with a 2xx: delivery GUID and pull request.
    pub acknowledged: Arc<Mutex<BTreeMap<String, Pr>>>,
    /// Those of them that had no review when last looked at.
    waiting: Arc<Mutex<Vec<Pr>>>,
}

/// Acknowledged deliveries that may wait for their reviews: more would only be tested for patience.
pub const WAITING: usize = 200;

impl Load {
    /// Opens pull requests and delivers them to the processes in turn, each in a task of its own, until aborted. Now and
    /// then GitHub does the work of a write and cuts the connection before it answers.
    pub async fn run(self, github: Sandbox, urls: Vec<String>) {
        let mut beat = interval(Duration::from_millis(12));
        for n in 0u32.. {
            beat.tick().await;
            while self.is_full(&github) {
                beat.tick().await;
            }
            let pr = github.open_pull(SHOP, |pr| {
                pr.title(&format!("Change {n}"))
                    .author("sam")
                    .adds(&format!("src/part_{n}.rs"), "fn part() {\n    dbg!(1);\n}\n")
            });
            self.opened.lock().unwrap().insert(pr);
            if n % 7 == 0 {
                github.fail_next("POST /repos/*/*/pulls/*/reviews", Failure::CutAfterWork);
            }
            if n % 11 == 0 {
                github.fail_next("POST /repos/*/*/pulls/*/reviews/*/events", Failure::CutAfterWork);
            }
            for mut delivery in github.drop_deliveries() {
                delivery.url = format!("{}/api/v1/webhooks/github", urls[n as usize % urls.len()]);
                tokio::spawn(self.clone().deliver(delivery, pr));
            }
        }
    }

    pub async fn deliver(self, delivery: Delivery, pr: Pr) {
        if delivery.send().await.status.is_some_and(|status| (200..300).contains(&status)) {
            self.acknowledged.lock().unwrap().insert(delivery.guid.to_lowercase(), pr);
            self.waiting.lock().unwrap().push(pr);
        }
    }

    pub fn is_full(&self, github: &Sandbox) -> bool {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.len() >= WAITING {
            waiting.retain(|pr| github.reviews(*pr).is_empty());
        }
        waiting.len() >= WAITING
    }
}
