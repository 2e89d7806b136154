//! Measures the workers: `cargo bench --bench work -- drain|replicas [options]`. See benches/README.md.

mod house;
mod world;

use std::{
    env,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use house::{House, Nectr, Role, cpu, free_port};
use world::{Calls, World};

const USAGE: &str = "usage: cargo bench --bench work -- [drain] [replicas] [options]
  --events N        pull requests that wait when the workers start (10000; `replicas`: 400)
  --rows N          deliveries that are stored already, the second time (1000000; 0: only an empty database)
  --mix             the pull requests are pushed to, edited, merged and closed too, before anybody looks
  --workers N       reviews in flight in each process (4, nectr's own default)
  --latency MS      how long GitHub takes for an answer (0; `replicas`: 100)
  --postgres URL    on this PostgreSQL server instead of SQLite (`replicas` wants one)
  --server FILE     another binary than the one just built";

/// Longest time a drain may take.
const PATIENCE: Duration = Duration::from_secs(1800);

struct Options {
    what: Vec<String>,
    events: Option<usize>,
    rows: u64,
    mix: bool,
    workers: usize,
    latency: Option<u64>,
    postgres: Option<String>,
    server: PathBuf,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self {
            what: Vec::new(),
            events: None,
            rows: 1_000_000,
            mix: false,
            workers: 4,
            latency: None,
            postgres: None,
            server: env!("CARGO_BIN_EXE_nectr").into(),
        };
        let mut args = env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value\n{USAGE}"));
            match arg.as_str() {
                "drain" | "replicas" => options.what.push(arg),
                "--events" => options.events = Some(value()?.parse()?),
                "--rows" => options.rows = value()?.parse()?,
                "--mix" => options.mix = true,
                "--workers" => options.workers = value()?.parse()?,
                "--latency" => options.latency = Some(value()?.parse()?),
                "--postgres" => options.postgres = Some(value()?),
                "--server" => options.server = value()?.into(),
                _ => bail!("{USAGE}"),
            }
        }
        if options.what.is_empty() {
            options.what.push("drain".to_owned());
        }
        Ok(options)
    }
}

/// One thread: what it does not take is left to nectr.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let options = Options::read()?;
    for what in &options.what {
        match what.as_str() {
            "drain" => drain(&options).await?,
            _ => replicas(&options).await?,
        }
    }
    Ok(())
}

/// The empty database; then one of many rows.
async fn drain(options: &Options) -> Result<()> {
    let events = options.events.unwrap_or(10_000);
    let mut street = Street::found(options, 0).await?;
    let seen = street.drain(events, options.mix, 1).await?;
    println!("drain    empty: {seen}");
    for (route, count) in &seen.calls.routes {
        println!("             {:5.2} {route}", *count as f64 / seen.reviews.max(1) as f64);
    }
    if options.rows > 0 {
        let started = Instant::now();
        street.house.database().await?.multiply(options.rows).await?;
        println!("drain    {} rows put in, {:.0} s", options.rows, started.elapsed().as_secs_f64());
        println!("drain    full:  {}", street.drain(events, options.mix, 1).await?);
    }
    street.house.remove().await
}

/// One process, and two over the same database, in turns.
async fn replicas(options: &Options) -> Result<()> {
    ensure!(options.postgres.is_some(), "replicas share a PostgreSQL database: --postgres URL");
    let events = options.events.unwrap_or(400);
    let mut street = Street::found(options, 100).await?;
    let mut rates = [0.0; 2];
    for count in [1, 2, 2, 1] {
        let seen = street.drain(events, options.mix, count).await?;
        println!("replicas {count}: {seen}");
        rates[count - 1] += seen.rate();
    }
    println!("replicas two are {:.2} times as fast as one", rates[1] / rates[0]);
    street.house.remove().await
}

/// A world and the house in it: every repository connected and learned.
struct Street {
    world: World,
    house: House,
    port: u16,
    latency: Duration,
}

impl Street {
    async fn found(options: &Options, latency: u64) -> Result<Self> {
        let world = World::new().await?;
        let house = House::fresh(&options.server, options.postgres.as_deref(), options.workers, &world.github).await?;
        let port = free_port()?;
        let nectr = house.start(Role::All, port).await?;
        nectr.connect(&world.github, &world.repos).await?;
        world.github.deliver_all().await;
        house.database().await?.rest("tasks", Duration::from_millis(100), PATIENCE).await?;
        nectr.end().await?;
        Ok(Self { world, house, port, latency: Duration::from_millis(options.latency.unwrap_or(latency)) })
    }

    /// Has this much happen while nobody works, then starts `count` processes and waits until all of it is done.
    async fn drain(&mut self, pulls: usize, mix: bool, count: usize) -> Result<Seen> {
        let accepting = self.house.start(Role::Accepts, self.port).await?;
        let events = self.world.happen(pulls, mix).await?;
        accepting.end().await?;
        let mut database = self.house.database().await?;
        let reviews = database.number(POSTED).await?;
        self.world.take_calls();
        self.world.github.latency(self.latency);

        let (started, github) = (Instant::now(), cpu("self")?);
        let role = if self.house.is_shared() { Role::Works } else { Role::All };
        let mut running: Vec<Nectr> = Vec::new();
        for _ in 0..count {
            running.push(self.house.start(role, self.port).await?);
        }
        database
            .rest("deliveries", Duration::from_millis(200), PATIENCE)
            .await
            .with_context(|| self.house.last_words())?;
        let took = started.elapsed();
        let used = running.iter().map(Nectr::cpu).sum::<Result<Duration>>()?;
        let github = cpu("self")? - github;
        let calls = self.world.take_calls();
        self.world.github.latency(Duration::ZERO);
        for nectr in running {
            nectr.end().await?;
        }
        let reviews = usize::try_from(database.number(POSTED).await? - reviews)?;
        ensure!(mix || reviews == events, "{reviews} reviews of {events} deliveries:\n{}", self.house.last_words());
        let unknown = self.world.github.unknown_calls();
        ensure!(unknown.is_empty(), "GitHub would not have understood: {:?}", &unknown[..1]);
        Ok(Seen { events, reviews, took, used, github, calls })
    }
}

const POSTED: &str = "SELECT COUNT(*) FROM reviews WHERE status = 'posted'";

/// One drain.
struct Seen {
    events: usize,
    reviews: usize,
    took: Duration,
    /// CPU time of nectr.
    used: Duration,
    /// CPU time of this process: of GitHub, that is.
    github: Duration,
    calls: Calls,
}

impl Seen {
    fn rate(&self) -> f64 {
        self.events as f64 / self.took.as_secs_f64()
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { events, reviews, took, used, github, calls } = self;
        let reviewed = (*reviews).max(1) as f64;
        write!(
            f,
            "{events} deliveries, {reviews} reviews in {:.1} s, {:.0}/s; {:.2} ms CPU a delivery (GitHub: {:.2}); \
             calls a review: {:.2} reads, {:.2} writes",
            took.as_secs_f64(),
            self.rate(),
            1000.0 * used.as_secs_f64() / *events as f64,
            1000.0 * github.as_secs_f64() / *events as f64,
            calls.reads as f64 / reviewed,
            calls.writes as f64 / reviewed,
        )
    }
}
