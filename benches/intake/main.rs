//! Measures intake: `cargo bench --bench intake -- [start|limit|refuse|slow|burst|rows]... [options]`. See
//! benches/README.md.

// A payload of GitHub's is a long object.
#![recursion_limit = "256"]

mod load;
mod payload;
mod server;

use std::{
    env, fs,
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};

use load::{Load, Seen, Target};
use server::{Database, Server, memory};

const USAGE: &str = "usage: cargo bench --bench intake -- [start] [limit] [refuse] [slow] [burst] [rows]
  --seconds N       how long each load lasts (5)
  --connections N   how many are kept open (32)
  --rows N          deliveries that are there already, for `rows` (1000000)
  --postgres URL    on this PostgreSQL server instead of SQLite
  --body FILE       another payload of acme/shop than the 24 KB one that is made up
  --server FILE     another binary than the one just built
  --rate N          for `limit`: this rate instead of half of what was reached
  --steady US       SQLite in memory, each flush takes so many microseconds: a disk without bad moments
  --url URL --secret SECRET [--hook ID] [--pid PID]
                    for `limit` and `refuse`: another receiver, which runs already (on this machine)";

struct Options {
    what: Vec<String>,
    time: Duration,
    connections: usize,
    rows: u64,
    postgres: Option<String>,
    body: Vec<u8>,
    server: PathBuf,
    rate: Option<f64>,
    steady: Option<Duration>,
    url: Option<url::Url>,
    secret: String,
    hook: i64,
    pid: Option<u32>,
}

impl Options {
    fn read() -> anyhow::Result<Self> {
        let mut options = Self {
            what: Vec::new(),
            time: Duration::from_secs(5),
            connections: 32,
            rows: 1_000_000,
            postgres: None,
            body: payload::opened(),
            server: env!("CARGO_BIN_EXE_nectr").into(),
            rate: None,
            steady: None,
            url: None,
            secret: String::new(),
            hook: 1,
            pid: None,
        };
        let mut args = env::args().skip(1).filter(|arg| arg != "--bench");
        while let Some(arg) = args.next() {
            let mut value = || args.next().with_context(|| format!("{arg} wants a value\n{USAGE}"));
            match arg.as_str() {
                "start" | "limit" | "refuse" | "slow" | "burst" | "rows" => options.what.push(arg),
                "--seconds" => options.time = Duration::from_secs(value()?.parse()?),
                "--connections" => options.connections = value()?.parse()?,
                "--rows" => options.rows = value()?.parse()?,
                "--postgres" => options.postgres = Some(value()?),
                "--body" => options.body = fs::read(value()?)?,
                "--server" => options.server = value()?.into(),
                "--rate" => options.rate = Some(value()?.parse()?),
                "--steady" => options.steady = Some(Duration::from_micros(value()?.parse()?)),
                "--url" => options.url = Some(value()?.parse()?),
                "--secret" => options.secret = value()?,
                "--hook" => options.hook = value()?.parse()?,
                "--pid" => options.pid = Some(value()?.parse()?),
                _ => bail!("{USAGE}"),
            }
        }
        if options.what.is_empty() {
            options.what = ["start", "limit", "refuse", "slow", "burst"].map(str::to_owned).into();
        }
        Ok(options)
    }

    fn load(&self) -> Load {
        Load { connections: self.connections, time: self.time, rate: None, most: u64::MAX }
    }

    async fn database(&self) -> anyhow::Result<Database> {
        Database::fresh(self.postgres.as_deref(), self.steady.is_some()).await
    }

    async fn start(&self, database: &Database) -> anyhow::Result<(Server, Target)> {
        let (server, _) = Server::start(&self.server, database, &self.body, self.steady).await?;
        let target = server::target(server.address, self.body.clone());
        Ok((server, target))
    }
}

/// One thread: what it does not take is left to the server.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::read()?;
    println!(
        "{} bytes a delivery, {} connections, {} s each",
        options.body.len(),
        options.connections,
        options.time.as_secs()
    );
    for what in &options.what {
        match (what.as_str(), &options.url) {
            ("limit", Some(_)) => limit_of(&options, &other(&options)?, options.pid).await?,
            ("refuse", Some(_)) => {
                refuse_of(&options, &other(&options)?).await?;
            }
            (_, Some(_)) => bail!("of another receiver only `limit` and `refuse` can be measured"),
            ("start", None) => start(&options).await?,
            ("limit", None) => limit(&options).await?,
            ("refuse", None) => refuse(&options).await?,
            ("slow", None) => slow(&options).await?,
            ("burst", None) => burst(&options).await?,
            _ => rows(&options).await?,
        }
    }
    Ok(())
}

fn other(options: &Options) -> anyhow::Result<Target> {
    let url = options.url.as_ref().context("--url")?;
    let address: SocketAddr = *url.socket_addrs(|| None)?.first().context("no address")?;
    ensure!(address.ip().is_loopback(), "only a receiver on this machine");
    let signature = nectr::webhook::sign(options.secret.as_bytes(), &options.body);
    let (path, body) = (url.path().to_owned(), options.body.clone());
    Ok(Target { address, path, hook: options.hook, body, signature })
}

/// From the start of the process to its first 202, over a database that exists; and what the idle process occupies.
async fn start(options: &Options) -> anyhow::Result<()> {
    let database = options.database().await?;
    let mut took = Vec::new();
    for _ in 0..5 {
        let (server, first) = Server::start(&options.server, &database, &options.body, options.steady).await?;
        took.push(first);
        if took.len() == 5 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            println!("start    first 202 after {}; idle {:.0} MiB", list(&took), memory(server.pid())?.0);
        }
    }
    database.remove().await
}

/// As fast as it goes; then half as fast.
async fn limit(options: &Options) -> anyhow::Result<()> {
    let database = options.database().await?;
    let (server, target) = options.start(&database).await?;
    limit_of(options, &target, Some(server.pid())).await?;
    drop(server);
    database.remove().await
}

async fn limit_of(options: &Options, target: &Target, pid: Option<u32>) -> anyhow::Result<()> {
    let warm = Load { time: Duration::from_secs(1), ..options.load() };
    load::send(target, warm).await;
    let seen = load::send(target, options.load()).await;
    println!("limit    {}{}", line(&seen), occupied(pid));
    let rate = options.rate.unwrap_or(seen.rate() / 2.0);
    let half =
        load::send(target, Load { rate: Some(rate), connections: options.connections * 2, ..options.load() }).await;
    println!("half     {}{}", line(&half), occupied(pid));
    Ok(())
}

/// The wrong secret, and the right one.
async fn refuse(options: &Options) -> anyhow::Result<()> {
    let database = options.database().await?;
    let (server, target) = options.start(&database).await?;
    let refused = refuse_of(options, &target).await?;
    let accepted = load::send(&target, options.load()).await;
    accepted.only(202)?;
    println!("refuse   that is {:.2} times what is accepted ({:.0}/s)", refused / accepted.rate(), accepted.rate());
    drop(server);
    database.remove().await
}

async fn refuse_of(options: &Options, target: &Target) -> anyhow::Result<f64> {
    let wrong = Target { signature: nectr::webhook::sign(b"another secret", &target.body), ..target.clone() };
    let seen = load::send(&wrong, options.load()).await;
    println!("refuse   {}", line(&seen));
    Ok(seen.rate())
}

/// A disk whose flushes take 1 ms longer.
async fn slow(options: &Options) -> anyhow::Result<()> {
    if options.postgres.is_some() {
        println!("slow     is measured on SQLite only: there nectr itself flushes");
        return Ok(());
    }
    for connections in [options.connections, 256] {
        let database = options.database().await?;
        let added = Some(options.steady.unwrap_or_default() + Duration::from_millis(1));
        let (server, _) = Server::start(&options.server, &database, &options.body, added).await?;
        let target = server::target(server.address, options.body.clone());
        let seen = load::send(&target, Load { connections, ..options.load() }).await;
        println!(
            "slow     1 ms more a flush, {connections} connections: {}{}",
            line(&seen),
            occupied(Some(server.pid()))
        );
        drop(server);
        database.remove().await?;
    }
    Ok(())
}

/// 10,000 deliveries by as many connections as nectr takes at once.
async fn burst(options: &Options) -> anyhow::Result<()> {
    let database = options.database().await?;
    let (server, target) = options.start(&database).await?;
    let seen =
        load::send(&target, Load { connections: 2000, time: Duration::from_secs(60), rate: None, most: 10_000 }).await;
    println!("burst    10000 over 2000 connections: {}{}", line(&seen), occupied(Some(server.pid())));
    drop(server);
    database.remove().await
}

/// The empty database and one of many rows, in turns.
async fn rows(options: &Options) -> anyhow::Result<()> {
    let (empty, full) = (options.database().await?, options.database().await?);
    let started = Instant::now();
    full.fill(options.rows, &options.body).await?;
    println!("rows     {} put in, {:.0}/s", options.rows, options.rows as f64 / started.elapsed().as_secs_f64());
    for round in 0..2 {
        for (name, database) in [("empty", &empty), ("full", &full)] {
            let (server, target) = options.start(database).await?;
            load::send(&target, Load { time: Duration::from_secs(1), ..options.load() }).await;
            let seen = load::send(&target, options.load()).await;
            println!("rows     round {round}, {name}: {}{}", line(&seen), occupied(Some(server.pid())));
        }
    }
    empty.remove().await?;
    full.remove().await
}

fn line(seen: &Seen) -> String {
    let statuses: Vec<_> = seen.statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
    let broken = if seen.broken > 0 { format!(", {} connections broke", seen.broken) } else { String::new() };
    format!(
        "{:6.0}/s  p50 {:.2}  p99 {:.2}  p99.9 {:.2}  max {:.1} ms  ({}{broken})",
        seen.rate(),
        seen.percentile(50.0),
        seen.percentile(99.0),
        seen.percentile(99.9),
        seen.percentile(100.0),
        statuses.join(", "),
    )
}

fn occupied(pid: Option<u32>) -> String {
    match pid.map(memory) {
        Some(Ok((now, most))) => format!("  {now:.0} MiB, at most {most:.0}"),
        _ => String::new(),
    }
}

fn list(times: &[Duration]) -> String {
    let times: Vec<_> = times.iter().map(|time| format!("{:.0}", time.as_secs_f64() * 1000.0)).collect();
    format!("{} ms", times.join(", "))
}
