//! Measures the code graph: `cargo bench --bench graph -- build|questions|intake [--files N]`. See benches/README.md.

mod data;
mod naive;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use bytes::Bytes;
use chrono::Utc;
use nectr::{
    domain::{
        Clock, Guid, InstallationId, RepoId, RepoName, RepoRef,
        graph::{Build, RepositoryFact, Scan, TreeFile},
    },
    graph::{CodeGraph, database::Database, neo4j, tree},
    inbox::{Inbox, NewDelivery},
    store::Store,
};

use data::{Shape, World};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let files = match args.iter().position(|arg| arg == "--files") {
        Some(at) => args.get(at + 1).context("--files N")?.parse()?,
        None => 100_000,
    };
    match args.first().map(String::as_str) {
        Some("build") => build(files).await,
        Some("questions") => questions(files).await,
        Some("intake") => intake(files).await,
        _ => bail!("usage: cargo bench --bench graph -- build|questions|intake [--files N]"),
    }
}

// ---- building ------------------------------------------------------------------------------------------------------

/// A first build, one that changes a hundredth, and one that changes nothing, on each backend; on Neo4j also the naive way,
/// in turns: a Java server is faster the second time.
async fn build(files: usize) -> anyhow::Result<()> {
    println!("{files} files");
    for (name, graph) in backends().await? {
        let (first, second) = rounds(&*graph, files).await?;
        println!("{name:10}  first build {}   1 % changed {}   {:.1}x", ms(first), ms(second), ratio(first, second));
        if name == "neo4j" {
            let options = neo4j_options().context("Neo4j")?;
            let mut first = first;
            for turn in ["cold", "warm"] {
                if turn == "warm" {
                    first = put(&*graph, &repository(), None, &data::tree(files, 0)).await?;
                }
                let naive = naive::build(&options, &data::tree(files, 0)).await?;
                println!(
                    "{name:10}  {turn}: first build {}   naive {}   {:.1}x",
                    ms(first),
                    ms(naive),
                    ratio(naive, first)
                );
            }
        }
    }
    Ok(())
}

async fn rounds(graph: &dyn CodeGraph, files: usize) -> anyhow::Result<(Duration, Duration)> {
    let repository = repository();
    let first = data::tree(files, 0);
    let second = data::tree(files, files / 100);
    let took_first = put(graph, &repository, None, &first).await?;
    let before = graph.scan(repository.repo.id).await?;
    let took_second = put(graph, &repository, before, &second).await?;
    let listed = graph.files(repository.repo.id).await?.len();
    anyhow::ensure!(listed == second.len(), "{listed} files are listed, {} were built", second.len());
    Ok((took_first, took_second))
}

/// What the task does once GitHub has answered: find the difference and put it in place.
async fn put(
    graph: &dyn CodeGraph,
    repository: &RepositoryFact,
    before: Option<Scan>,
    files: &[TreeFile],
) -> anyhow::Result<Duration> {
    let started = Instant::now();
    // Read anew, as a rescan would.
    let before = match before {
        Some(_) => graph.scan(repository.repo.id).await?,
        None => None,
    };
    let manifest = before.as_ref().and_then(|scan| tree::Manifest::unpack(&scan.manifest));
    let difference = manifest.clone().unwrap_or_default().difference(files);
    let generation = before.as_ref().map_or(1, |scan| scan.generation + 1);
    let build = Build {
        repository: repository.clone(),
        scan: Scan {
            generation,
            default_branch: repository.default_branch.clone(),
            tree: format!("tree {generation}"),
            files: files.len() as i64,
            manifest: tree::Manifest::of(files).pack(),
            scanned_at: Utc::now(),
        },
        from: manifest.and(before).map(|scan| scan.generation),
        files: difference.files.iter().map(tree::fact).collect(),
        gone: difference.gone,
        moved: difference.moved,
    };
    graph.build(&build).await?;
    Ok(started.elapsed())
}

// ---- asking --------------------------------------------------------------------------------------------------------

/// All questions of a review, over a graph of `files` files, a fifth as many pull requests, and 500,000 touches
/// where there are 100,000 files.
async fn questions(files: usize) -> anyhow::Result<()> {
    const ASKED: usize = 500;
    for (name, graph) in backends().await? {
        let repository = repository();
        let repo = repository.repo.id;
        let mut world = World::new(Shape { files, pulls: files / 5, touches: 29 });
        put(&*graph, &repository, None, &data::tree(files, 0)).await?;
        let started = Instant::now();
        let (mut pulls, mut touches) = (0, 0);
        while let Some(batch) = world.next_pulls(200) {
            pulls += batch.len();
            touches += batch.iter().flat_map(|pull| &pull.files).map(Vec::len).sum::<usize>();
            graph.learn_pulls(repo, &batch).await?;
        }
        println!("{name:10}  learned {pulls} pull requests, {touches} touches in {}", ms(started.elapsed()));
        for _ in 0..100 {
            graph.ask(&world.question(repo)).await?;
        }
        let mut took = Vec::with_capacity(ASKED);
        let (mut experts, mut related) = (0, 0);
        for _ in 0..ASKED {
            let question = world.question(repo);
            let started = Instant::now();
            let answer = graph.ask(&question).await?;
            took.push(started.elapsed());
            experts += usize::from(!answer.experts.is_empty());
            related += usize::from(!answer.related.is_empty());
        }
        println!(
            "{name:10}  {ASKED} questions: p50 {}  p95 {}  p99 {}   ({experts} with experts, {related} with related work)",
            ms(percentile(&mut took, 50)),
            ms(percentile(&mut took, 95)),
            ms(percentile(&mut took, 99)),
        );
    }
    Ok(())
}

// ---- beside intake -------------------------------------------------------------------------------------------------

/// How long deliveries wait for their commit on SQLite, without and with a build of `files` files beside them.
async fn intake(files: usize) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
    let store = Store::open(&url, Clock::system()).await?;
    store.migrate().await?;
    let graph = Database::new(store.clone());
    graph.prepare().await?;
    let inbox = Inbox::start(store)?;
    accept(&inbox, Duration::from_secs(2)).await?;
    for round in 0..3 {
        let mut alone = accept(&inbox, Duration::from_secs(5)).await?;
        let (repository, files) = (repository(), data::tree(files, 0));
        let started = Instant::now();
        let building = async {
            // As many as it takes to fill the time.
            let mut builds = 0;
            while started.elapsed() < Duration::from_secs(5) {
                let fact = RepositoryFact {
                    repo: RepoRef { id: RepoId(repository.repo.id.0 + builds), ..repository.repo.clone() },
                    ..repository.clone()
                };
                put(&graph, &fact, None, &files).await?;
                builds += 1;
            }
            anyhow::Ok(builds)
        };
        let (beside, builds) = tokio::join!(accept(&inbox, Duration::from_secs(5)), building);
        let (mut beside, builds) = (beside?, builds?);
        println!(
            "round {round}: alone p50 {} p99 {} max {}   beside {builds} builds of {} files p50 {} p99 {} max {}",
            ms(percentile(&mut alone, 50)),
            ms(percentile(&mut alone, 99)),
            ms(percentile(&mut alone, 100)),
            files.len(),
            ms(percentile(&mut beside, 50)),
            ms(percentile(&mut beside, 99)),
            ms(percentile(&mut beside, 100)),
        );
    }
    inbox.close().await;
    Ok(())
}

/// 200 deliveries a second of 24 KB, as GitHub sends them: evenly, whether or not the last was answered.
async fn accept(inbox: &Inbox, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let payload = Bytes::from(data::payload(24_000));
    let mut ticks = tokio::time::interval(Duration::from_millis(5));
    let mut waiting = tokio::task::JoinSet::new();
    let started = Instant::now();
    while started.elapsed() < time {
        ticks.tick().await;
        let (inbox, payload, due) = (inbox.clone(), payload.clone(), Instant::now());
        waiting.spawn(async move {
            inbox.accept(delivery(payload)).await?;
            anyhow::Ok(due.elapsed())
        });
    }
    let mut took = Vec::new();
    while let Some(ended) = waiting.join_next().await {
        took.push(ended??);
    }
    Ok(took)
}

fn delivery(payload: Bytes) -> NewDelivery {
    let repo = repository().repo;
    NewDelivery {
        installation: InstallationId(1),
        guid: Guid::parse(&data::guid()).unwrap_or_else(|| unreachable!("36 characters")),
        event: "pull_request".to_owned(),
        action: Some("opened".to_owned()),
        repo: Some(repo),
        number: None,
        head: None,
        event_at: None,
        reviews: false,
        ignored: None,
        headers: serde_json::json!({"X-GitHub-Event": "pull_request"}),
        payload,
    }
}

// ---- what it takes -------------------------------------------------------------------------------------------------

/// SQLite always; PostgreSQL and Neo4j where `TEST_DATABASE_URL` and `TEST_NEO4J_URI` name them.
async fn backends() -> anyhow::Result<Vec<(&'static str, Box<dyn CodeGraph>)>> {
    let mut backends: Vec<(&'static str, Box<dyn CodeGraph>)> = Vec::new();
    let folder = tempfile::tempdir()?.keep();
    backends.push(("sqlite", sql(&format!("sqlite://{}", folder.join("nectr.db").display())).await?));
    match env::var("TEST_DATABASE_URL") {
        Ok(url) => backends.push(("postgresql", sql(&url).await?)),
        Err(_) => println!("without PostgreSQL: TEST_DATABASE_URL is not set"),
    }
    match neo4j_options() {
        Some(options) => backends.push(("neo4j", Box::new(neo4j::Neo4j::new(&options)?))),
        None => println!("without Neo4j: TEST_NEO4J_URI is not set"),
    }
    for (_, graph) in &backends {
        graph.prepare().await?;
    }
    Ok(backends)
}

async fn sql(url: &str) -> anyhow::Result<Box<dyn CodeGraph>> {
    let store = Store::open(url, Clock::system()).await?;
    store.migrate().await?;
    Ok(Box::new(Database::new(store)))
}

fn neo4j_options() -> Option<neo4j::Neo4jOptions> {
    Some(neo4j::Neo4jOptions {
        uri: env::var("TEST_NEO4J_URI").ok()?,
        username: env::var("TEST_NEO4J_USER").unwrap_or_else(|_| "neo4j".to_owned()),
        password: env::var("TEST_NEO4J_PASSWORD").ok().map(Into::into),
        database: None,
    })
}

/// A repository nobody has measured before.
fn repository() -> RepositoryFact {
    RepositoryFact {
        repo: RepoRef {
            id: RepoId(Utc::now().timestamp_micros()),
            name: RepoName::parse("acme/shop").unwrap_or_else(|| unreachable!("a name")),
        },
        default_branch: "main".to_owned(),
    }
}

fn percentile(took: &mut [Duration], percent: usize) -> Duration {
    took.sort_unstable();
    took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}
