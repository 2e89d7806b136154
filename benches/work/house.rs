//! A nectr of its own: the real binary over a database of its own, and what the two are asked from outside.

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use http::Method;
use nectr::sandbox::{
    CLIENT_ID, CLIENT_SECRET, Sandbox,
    http::{Request, Response},
};
use sqlx::{ConnectOptions, Connection, Executor, PgConnection, Row, SqliteConnection, sqlite::SqliteConnectOptions};

use super::world::{ADMIN, BOT};

/// Time for anything that should not take long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database, and everything to start nectr over it.
pub struct House {
    binary: PathBuf,
    folder: tempfile::TempDir,
    url: String,
    server: Option<String>,
    settings: Vec<(&'static str, String)>,
    workers: usize,
}

/// Which half of nectr runs, or all of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes deliveries and leaves them alone.
    Accepts,
    /// Everything.
    All,
    /// Only works: PostgreSQL.
    Works,
}

impl House {
    /// Over a fresh SQLite file, or a fresh database on the PostgreSQL server at `server`.
    pub async fn fresh(binary: &Path, server: Option<&str>, workers: usize, github: &Sandbox) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let url = match server {
            None => format!("sqlite://{}", folder.path().join("nectr.db").display()),
            Some(server) => {
                let name = format!("nectr_bench_{}", chrono::Utc::now().timestamp_micros());
                let mut connection = postgres(server).await?;
                connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
                let mut url = url::Url::parse(server)?;
                url.set_path(&name);
                url.into()
            }
        };
        let settings = vec![
            // The bot's token is GITHUB_PAT, whoever is signed in on this machine.
            ("APP_ENV", "production".to_owned()),
            ("DATABASE_URL", url.clone()),
            ("SECRET_KEY", "a key for measuring, no secret to anybody".to_owned()),
            ("HOST", "127.0.0.1".to_owned()),
            ("GITHUB_API_URL", github.api_url()),
            ("GITHUB_SERVER_URL", github.server_url()),
            ("GITHUB_CLIENT_ID", CLIENT_ID.to_owned()),
            ("GITHUB_CLIENT_SECRET", CLIENT_SECRET.to_owned()),
            ("GITHUB_PAT", github.token_of(BOT)),
            ("GITHUB_WRITES_PER_MINUTE", "0".to_owned()),
            ("GITHUB_WRITES_PER_HOUR", "0".to_owned()),
        ];
        let (binary, server) = (binary.to_owned(), server.map(str::to_owned));
        Ok(Self { binary, folder, url, server, settings, workers })
    }

    /// Starts one process, and waits until it is ready. One that only works listens elsewhere: there may be several.
    pub async fn start(&self, role: Role, port: u16) -> Result<Nectr> {
        let own = if role == Role::Works { free_port()? } else { port };
        let log = self.folder.path().join("log");
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--role", if role == Role::Works { "worker" } else { "all" }])
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("PORT", own.to_string())
            .env("BACKEND_URL", format!("http://127.0.0.1:{port}"))
            .env("WORKERS", if role == Role::Accepts { "0".to_owned() } else { self.workers.to_string() })
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::options().create(true).append(true).open(&log)?);
        let mut nectr = Nectr { child: command.spawn()?, url: format!("http://127.0.0.1:{own}") };
        nectr.is_ready().await.with_context(|| format!("nectr did not start:\n{}", self.last_words()))?;
        Ok(nectr)
    }

    /// The end of what it logged.
    pub fn last_words(&self) -> String {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// For asking the database beside nectr.
    pub async fn database(&self) -> Result<Database> {
        Ok(match &self.server {
            Some(_) => Database::Postgres(postgres(&self.url).await?),
            None => {
                let options = self.url.parse::<SqliteConnectOptions>()?.busy_timeout(PATIENCE);
                Database::Sqlite(options.connect().await?)
            }
        })
    }

    /// Whether several processes may work in it.
    pub fn is_shared(&self) -> bool {
        self.server.is_some()
    }

    pub async fn remove(self) -> Result<()> {
        if let Some(server) = &self.server {
            let name = url::Url::parse(&self.url)?.path().trim_start_matches('/').to_owned();
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            postgres(server).await?.execute(sqlx::AssertSqlSafe(drop)).await?;
        }
        Ok(())
    }
}

async fn postgres(url: &str) -> Result<PgConnection> {
    PgConnection::connect(url).await.context("PostgreSQL does not answer")
}

/// A port nobody listens on.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running process; killed when dropped.
pub struct Nectr {
    child: Child,
    url: String,
}

impl Nectr {
    async fn is_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if Request::get(format!("{}/health/ready", self.url)).send().await.is_ok_and(|ready| ready.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            ensure!(Instant::now() < deadline, "it does not answer");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Signs the administrator in and connects these repositories.
    pub async fn connect(&self, github: &Sandbox, repos: &[String]) -> Result<()> {
        github.browser_user(ADMIN);
        let begun = Request::get(format!("{}/auth/github", self.url)).send().await?;
        let page = Request::get(location(&begun)?).send().await?;
        let signed_in = Request::get(location(&page)?).header("Cookie", &cookies(&begun)).send().await?;
        let cookies = cookies(&signed_in);
        for repo in repos {
            let install = Request::new(Method::POST, format!("{}/api/v1/repos/{repo}/install", self.url));
            let answer = install.header("Cookie", &cookies).header("Sec-Fetch-Site", "same-origin").send().await?;
            ensure!(answer.status == 200, "{repo} could not be connected: {}", answer.text());
        }
        Ok(())
    }

    /// CPU time it has used so far, the kernel's on its behalf included.
    pub fn cpu(&self) -> Result<Duration> {
        cpu(&self.child.id().to_string())
    }

    /// Ends it in order.
    pub async fn end(mut self) -> Result<()> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        ensure!(told.success(), "nectr was not there any more");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "nectr does not end");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Nectr {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// CPU time of a process so far, by its id or `self`.
pub fn cpu(process: &str) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // Its name may have spaces, and ends with the last bracket; then utime and stime are the 12th and 13th.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let [user, system] = [11, 12].map(|at| fields.get(at).and_then(|ticks| ticks.parse::<u64>().ok()));
    // Linux tells them in hundredths of a second on every machine there is.
    Ok(Duration::from_millis(10 * (user.context("utime")? + system.context("stime")?)))
}

fn location(answer: &Response) -> Result<&str> {
    answer.header("location").with_context(|| format!("signing in failed: {} {}", answer.status, answer.text()))
}

fn cookies(answer: &Response) -> String {
    let set = answer.headers.get_all("set-cookie").into_iter().filter_map(|cookie| cookie.to_str().ok());
    set.filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
}

/// A connection of our own beside nectr's.
pub enum Database {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Database {
    pub async fn execute(&mut self, sql: &str) -> Result<()> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => connection.execute(sqlx::raw_sql(sql)).await.map(|_| ())?,
            Self::Postgres(connection) => connection.execute(sqlx::raw_sql(sql)).await.map(|_| ())?,
        }
        Ok(())
    }

    /// The one number a question has for an answer.
    pub async fn number(&mut self, sql: &str) -> Result<i64> {
        let sql = sqlx::AssertSqlSafe(sql.to_owned());
        Ok(match self {
            Self::Sqlite(connection) => connection.fetch_one(sql).await?.try_get(0)?,
            Self::Postgres(connection) => connection.fetch_one(sql).await?.try_get(0)?,
        })
    }

    /// Waits until nothing is due in `table`, looking this often.
    pub async fn rest(&mut self, table: &str, every: Duration, most: Duration) -> Result<()> {
        let deadline = Instant::now() + most;
        while self.number(&format!("SELECT COUNT(*) FROM {table} WHERE due_at IS NOT NULL")).await? > 0 {
            if Instant::now() > deadline {
                bail!("nectr did not come to rest: {table}");
            }
            tokio::time::sleep(every).await;
        }
        Ok(())
    }

    /// Multiplies what is stored of finished deliveries until there are at least `rows`, as years of use would have left
    /// them: with their attempts, effects and reviews, of ever other pull requests.
    pub async fn multiply(&mut self, rows: u64) -> Result<()> {
        let have = u64::try_from(self.number("SELECT COUNT(*) FROM deliveries").await?)?.max(1);
        let copies = rows.saturating_sub(have).div_ceil(have);
        // Ids of the copies lie beyond all others.
        let mut stride = 0;
        for table in ["deliveries", "attempts", "effects", "reviews"] {
            stride = stride.max(self.number(&format!("SELECT COALESCE(MAX(id), 0) FROM {table}")).await? + 1);
        }
        if let Self::Sqlite(_) = self {
            self.execute("PRAGMA synchronous = OFF").await?;
        }
        for (from, to) in (0..copies).step_by(10).map(|at| (at + 1, copies.min(at + 10))) {
            self.execute(&copy(stride, from, to)).await?;
        }
        match self {
            Self::Sqlite(_) => {
                self.execute(
                    "INSERT OR REPLACE INTO delivery_guids SELECT unhex(guid, '-'), installation_id, id FROM deliveries \
                     ORDER BY 1, 2",
                )
                .await?;
                self.execute("UPDATE delivery_guids_until SET id = (SELECT MAX(id) FROM deliveries)").await?;
                self.execute("PRAGMA wal_checkpoint(TRUNCATE)").await
            }
            Self::Postgres(_) => {
                for table in ["deliveries", "attempts", "effects", "reviews"] {
                    let next = format!(
                        "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT MAX(id) FROM {table}))"
                    );
                    self.execute(&next).await?;
                }
                self.execute("VACUUM ANALYZE").await
            }
        }
    }
}

/// The copies `from..=to` of everything that was there at first. Understood by both databases.
fn copy(stride: i64, from: u64, to: u64) -> String {
    let copies = format!("WITH RECURSIVE c (k) AS (SELECT {from} UNION ALL SELECT k + 1 FROM c WHERE k < {to}) ");
    let (id, pull) = (format!("id + k * {stride}"), "pr_number + k * 1000000");
    let these = format!("c WHERE id < {stride}");
    [
        format!(
            "INSERT INTO deliveries (id, installation_id, guid, event, action, repo_id, repo, pr_number, head_sha, \
             event_at, reviews, status, attempts, fence, due_at, parked_since, received_at, finished_at, outcome, \
             last_error, headers, payload) {copies} SELECT {id}, installation_id, \
             CAST(10000000 + k AS text) || substr(guid, 9), event, action, repo_id, repo, {pull}, head_sha, event_at, \
             reviews, status, attempts, fence, due_at, parked_since, received_at, finished_at, outcome, last_error, \
             headers, payload FROM deliveries, {these};"
        ),
        format!(
            "INSERT INTO attempts (id, source, work_id, number, started_at, finished_at, result, error) {copies} \
             SELECT {id}, source, work_id + k * {stride}, number, started_at, finished_at, result, error \
             FROM attempts, {these} AND source = 'delivery';"
        ),
        format!(
            "INSERT INTO effects (id, repo_id, pr_number, kind, key, source, work_id, state, github_id, url, draft, \
             created_at) {copies} SELECT {id}, repo_id, {pull}, kind, key, source, work_id + k * {stride}, state, \
             github_id, url, draft, created_at FROM effects, {these};"
        ),
        format!(
            "INSERT INTO reviews (id, repo_id, repo, pr_number, pr_title, pr_url, pr_state, author, branch, base_ref, \
             head_sha, status, verdict, event, summary, files_analyzed, findings_count, findings, coverage, effect_id, \
             review_url, created_at, posted_at) {copies} SELECT {id}, repo_id, repo, {pull}, pr_title, pr_url, pr_state, \
             author, branch, base_ref, head_sha, status, verdict, event, summary, files_analyzed, findings_count, \
             findings, coverage, effect_id + k * {stride}, review_url, created_at, posted_at FROM reviews, {these};"
        ),
    ]
    .join("\n")
}
