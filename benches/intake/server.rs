//! A server of its own for each question: the real binary, over a database with one connected repository.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use chrono::{TimeDelta, Utc};
use nectr::{
    domain::{Clock, Guid, HookId, InstallationId, RepoId, RepoName, RepoRef},
    seal::{Place, Sealer},
    store::{Store, installations::NewInstallation, intake::NewDelivery, users::SignIn},
    webhook,
};
use sqlx::{ConnectOptions, Connection, Executor, postgres::PgConnectOptions};
use tokio::net::TcpStream;

use super::{
    load::{self, Target},
    payload,
};

const KEY: &str = "a key for measuring, no secret to anybody";
const SECRET: &str = "bench-secret";
const HOOK: i64 = 292_430_182;
const PATH: &str = "/api/v1/webhooks/github";

/// A fresh database: a file in a folder of its own, or a database of its own on a PostgreSQL server.
pub struct Database {
    pub url: String,
    server: Option<String>,
    folder: Option<tempfile::TempDir>,
}

impl Database {
    /// On SQLite, there in memory if wanted, or on the PostgreSQL server at `server`.
    pub async fn fresh(server: Option<&str>, in_memory: bool) -> anyhow::Result<Self> {
        let this = match server {
            None => {
                let folder = if in_memory { tempfile::tempdir_in("/dev/shm") } else { tempfile::tempdir() }?;
                let url = format!("sqlite://{}", folder.path().join("nectr.db").display());
                Self { url, server: None, folder: Some(folder) }
            }
            Some(server) => {
                let name = format!("nectr_bench_{}_{}", std::process::id(), Utc::now().timestamp_micros());
                execute(server, &format!("CREATE DATABASE {name}")).await?;
                let mut url = url::Url::parse(server)?;
                url.set_path(&name);
                Self { url: url.into(), server: Some(server.to_owned()), folder: None }
            }
        };
        this.connect_repository().await?;
        Ok(this)
    }

    async fn connect_repository(&self) -> anyhow::Result<()> {
        let store = Store::open(&self.url, Clock::system()).await?;
        store.migrate().await?;
        let repo = RepoRef { id: RepoId(payload::REPO_ID), name: RepoName::parse(payload::REPO).context("a name")? };
        let who =
            SignIn { github_id: 7, login: "ada".to_owned(), name: None, email: None, avatar_url: None, token: vec![0] };
        let user = store.open_session(who, "bench", Utc::now() + TimeDelta::hours(1)).await?.user;
        let place = Place { table: "installations", column: "secret", github_user: 7, repo: Some(repo.id) };
        let secret = Sealer::new(&KEY.into(), None).seal(place, SECRET);
        let id = store.begin_connecting(NewInstallation { user, repo: repo.clone(), secret }, Utc::now()).await?;
        ensure!(store.activate(id.context("begun")?, repo.id, HookId(HOOK), "http://localhost/hook").await?);
        Ok(())
    }

    /// Puts in so many deliveries, as a year of use would have left them.
    pub async fn fill(&self, rows: u64, body: &[u8]) -> anyhow::Result<()> {
        let store = Store::open(&self.url, Clock::system()).await?;
        let delivery = |guid: &str| NewDelivery {
            installation: InstallationId(1),
            guid: Guid::parse(guid).unwrap_or_else(|| unreachable!("36 characters")),
            event: "pull_request".to_owned(),
            action: Some("opened".to_owned()),
            repo: None,
            number: None,
            head: None,
            event_at: None,
            reviews: true,
            ignored: None,
            headers: serde_json::json!({"content-type": "application/json", "x-github-event": "pull_request"}),
            payload: body.to_vec().into(),
        };
        for from in (0..rows).step_by(256) {
            let batch: Vec<_> = (from..rows.min(from + 256)).map(|_| delivery(&load::guid())).collect();
            store.accept(&batch).await?;
        }
        while !store.index_deliveries().await? {}
        Ok(())
    }

    pub async fn remove(self) -> anyhow::Result<()> {
        if let Some(server) = &self.server {
            let name = url::Url::parse(&self.url)?.path().trim_start_matches('/').to_owned();
            execute(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        }
        drop(self.folder);
        Ok(())
    }
}

async fn execute(url: &str, statement: &str) -> anyhow::Result<()> {
    let options: PgConnectOptions = url.parse()?;
    let mut connection = options.connect().await.context("PostgreSQL does not answer")?;
    connection.execute(sqlx::AssertSqlSafe(statement.to_owned())).await?;
    Ok(connection.close().await?)
}

/// The target all servers of ours are.
pub fn target(address: SocketAddr, body: Vec<u8>) -> Target {
    let signature = webhook::sign(SECRET.as_bytes(), &body);
    Target { address, path: PATH.to_owned(), hook: HOOK, body, signature }
}

/// A running nectr; killed when dropped.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
}

impl Server {
    /// Starts one, and says how long it took to the first delivery that was accepted. With `slow` each flush takes that
    /// much longer.
    pub async fn start(
        binary: &Path,
        database: &Database,
        body: &[u8],
        slow: Option<Duration>,
    ) -> anyhow::Result<(Self, Duration)> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = Command::new(binary);
        command
            .arg("serve")
            .env("DATABASE_URL", &database.url)
            .env("SECRET_KEY", KEY)
            .env("HOST", "127.0.0.1")
            .env("PORT", address.port().to_string())
            .env("WORKERS", "0")
            .env("GRAPH", "off")
            .env("RUST_LOG", "warn")
            .env_remove("APP_ENV")
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        if let Some(slow) = slow {
            command.env("LD_PRELOAD", slow_flush()?).env("SLOW_FLUSH_US", slow.as_micros().to_string());
        }
        let (request, _) = load::request(&target(address, body.to_vec()));
        let started = Instant::now();
        let server = Self { child: command.spawn()?, address };
        let mut answer = Vec::new();
        loop {
            ensure!(started.elapsed() < Duration::from_secs(20), "the server did not start");
            if let Ok(mut stream) = TcpStream::connect(address).await
                && let Ok(202) = load::exchange(&mut stream, &request, &mut answer).await
            {
                return Ok((server, started.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory a process occupies now, and the most it did, in MiB.
pub fn memory(pid: u32) -> anyhow::Result<(f64, f64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let of = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().trim_end_matches(" kB").parse::<f64>().ok()
    };
    Ok((of("VmRSS:").context("VmRSS")? / 1024.0, of("VmHWM:").context("VmHWM")? / 1024.0))
}

/// The library that makes flushes slow, built with the C compiler that built SQLite.
fn slow_flush() -> anyhow::Result<PathBuf> {
    let library = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("slow_flush.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/intake/slow_flush.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).status()?;
    ensure!(built.success(), "cc could not build {source}");
    Ok(library)
}
