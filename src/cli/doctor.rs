//! `nectr doctor`: every setting and everything nectr depends on, one line each.
//!
//! `fail` means that serving would fail; `warn`, that something will be missing. Nothing is changed and no database is
//! made, though the file with a development server's `SECRET_KEY` may be. Beside a running server it checks that server.

mod outside;

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Write},
    net::SocketAddr,
    path::Path,
    time::Duration,
};

use secrecy::ExposeSecret;
use tokio::net::TcpListener;

use super::{Failed, migrate, text::safe};
use crate::{
    config::{Config, Flags, GraphConfig, Inspection, Problems, SETTINGS, Setting, WhenUnset, near},
    domain::Clock,
    graph::{
        CodeGraph, GraphError,
        neo4j::{Neo4j, Neo4jOptions},
    },
    sandbox::http::Request,
    seal::{Sealer, random_hex},
    store::{Store, StoreError, sealed::SealedCounts, sqlite_path},
};

/// How long to wait for GitHub, and for Neo4j.
const PATIENCE: Duration = Duration::from_secs(15);

/// Connections that are named, of those that are unwell.
const SHOWN: u64 = 5;

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
enum Finding {
    Ok(String),
    Warn(String),
    Fail(String),
}

use Finding::{Fail, Ok as Fine, Warn};

/// Checks everything; fails if serving would.
pub(super) async fn run(flags: &Flags, out: &mut dyn Write) -> anyhow::Result<()> {
    let inspection = Inspection::of(flags);
    let mut report = Report { out, failed: false };
    for setting in SETTINGS {
        report.line(setting.name, &of_setting(&inspection, setting))?;
    }
    let elsewhere = inspection.config.as_ref().err().map(elsewhere).unwrap_or_default();
    for (name, text) in elsewhere {
        report.line(name, &Fail(text))?;
    }
    if let Ok(config) = &inspection.config {
        let (address, serving) = address(config.listen).await;
        report.line("address", &address)?;
        let (found, store) = database(config, serving).await;
        report.line("database", &found)?;
        if let Some(store) = store {
            report.line("sealed secrets", &sealed(config, &store).await)?;
            report.line("connections", &connections(&store).await)?;
        }
        report.line("code graph", &graph(config).await)?;
        report.line("sign-in", &sign_in(config))?;
        report.line("webhooks", &outside::webhooks(config, serving).await)?;
        let of_github = outside::github(config).await;
        for (name, finding) in outside::collectors(config).await.into_iter().chain(of_github) {
            report.line(name, &finding)?;
        }
    }
    if report.failed { Err(Failed.into()) } else { Ok(()) }
}

struct Report<'a> {
    out: &'a mut dyn Write,
    failed: bool,
}

impl Report<'_> {
    fn line(&mut self, name: &str, finding: &Finding) -> std::io::Result<()> {
        let (mark, text) = match finding {
            Fine(text) => ("ok", text),
            Warn(text) => ("warn", text),
            Fail(text) => ("fail", text),
        };
        self.failed |= matches!(finding, Fail(_));
        writeln!(self.out, "{mark:<4}  {name:<width$}  {}", safe(text), width = width())
    }
}

/// Of the longest name there is.
fn width() -> usize {
    SETTINGS.iter().map(|setting| setting.name.len()).max().unwrap_or_default()
}

fn of_setting(inspection: &Inspection, setting: &Setting) -> Finding {
    if let Err(problems) = &inspection.config {
        let texts: Vec<_> = problems.of(setting.name).collect();
        if !texts.is_empty() {
            return Fail(texts.join(" "));
        }
    }
    let unset = match setting.default {
        WhenUnset::Nothing => "not set".to_owned(),
        WhenUnset::Value(value) => format!("{value} (default)"),
        WhenUnset::Derived(how) => format!("not set: {how}"),
    };
    Fine(match inspection.origin(setting) {
        None => unset,
        Some((origin, None)) => format!("set ({origin})"),
        Some((origin, Some(value))) => format!("{value} ({origin})"),
    })
}

/// Problems of no setting: a `.env` that cannot be read.
fn elsewhere(problems: &Problems) -> Vec<(&'static str, String)> {
    let stray = problems.0.iter().filter(|problem| SETTINGS.iter().all(|setting| setting.name != problem.setting));
    stray.map(|problem| (problem.setting, problem.text.clone())).collect()
}

/// Whether the address can be listened on, and whether a nectr does so already.
async fn address(listen: SocketAddr) -> (Finding, bool) {
    match TcpListener::bind(listen).await {
        Ok(_) => (Fine(format!("{listen} is free")), false),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let live = format!("http://{}/health/live", near(listen));
            let live = Request::get(live).timeout(Duration::from_secs(5)).send().await;
            match live {
                Ok(answer) if answer.status == 200 => (Fine(format!("a nectr is serving on {listen}")), true),
                _ => (Fail(format!("{listen} is taken: stop what listens there, or set PORT")), false),
            }
        }
        Err(error) => (Fail(format!("cannot listen on {listen}: {error}; set HOST and PORT")), false),
    }
}

/// Whether the database opens, and how its schema stands; the database, if its schema is up to date. `serving`: a nectr
/// holds the lock of a SQLite file rightly.
async fn database(config: &Config, serving: bool) -> (Finding, Option<Store>) {
    let url = config.database_url.expose_secret();
    if let Some(path) = sqlite_path(url).filter(|path| !path.exists()) {
        let found = match writable(&path) {
            Ok(()) => Fine(format!("{} will be made by `nectr serve`", path.display())),
            Err(error) => Fail(format!("{} cannot be made: {error}; set DATABASE_URL", path.display())),
        };
        return (found, None);
    }
    let opened = match Store::open(url, Clock::system()).await {
        Err(StoreError::Setup(_)) if serving => Store::open_beside(url, Clock::system()).await,
        other => other,
    };
    let store = match opened {
        Ok(store) => store,
        Err(StoreError::Setup(text)) => return (Fail(text), None),
        Err(error) => return (Fail(format!("cannot be opened: {error}; check DATABASE_URL")), None),
    };
    match migrate::pending(&store).await {
        Ok(pending) if pending.is_empty() => (Fine("answers, and its schema is up to date".to_owned()), Some(store)),
        Ok(pending) => (Fine(format!("answers; `nectr serve` will apply {} migration(s)", pending.len())), None),
        Err(error) => (Fail(format!("{error:#}; was it used by a newer nectr?")), None),
    }
}

/// Whether what is stored can be opened, and whether SECRET_KEY_PREVIOUS is still needed for that.
async fn sealed(config: &Config, store: &Store) -> Finding {
    let (current, previous) = Sealer::new(&config.secret_key, config.secret_key_previous.as_ref()).key_ids();
    let counts = match store.count_sealed(current, previous).await {
        Ok(counts) => counts,
        Err(error) => return Warn(format!("cannot be counted: {error}")),
    };
    match counts {
        SealedCounts { other: 1.., .. } => Warn(format!(
            "{} row(s) cannot be opened: set SECRET_KEY_PREVIOUS to the key that SECRET_KEY was before",
            counts.other
        )),
        SealedCounts { previous: 1.., .. } => Fine(format!(
            "{} row(s) still sealed with the previous key: keep SECRET_KEY_PREVIOUS, `nectr serve` seals them anew",
            counts.previous
        )),
        _ if previous.is_some() => Fine(format!(
            "all {} row(s) have SECRET_KEY: SECRET_KEY_PREVIOUS can go once tokens from before have expired",
            counts.current
        )),
        _ => Fine(format!("{} row(s), all sealed with SECRET_KEY", counts.current)),
    }
}

/// Whether the webhooks deliver and the bot may review, as the server last saw it.
async fn connections(store: &Store) -> Finding {
    let known = async { Ok::<_, StoreError>((store.webhooks().await?, store.unwell(SHOWN).await?)) };
    let (webhooks, unwell) = match known.await {
        Ok(known) => known,
        Err(error) => return Warn(format!("cannot be counted: {error}")),
    };
    let counted = webhooks.into_iter().filter(|(_, count)| *count > 0);
    let counted: Vec<_> = counted.map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    if counted.is_empty() {
        return Fine("no repository is connected".to_owned());
    }
    let text = format!("webhooks: {}", counted.join(", "));
    let unwell: Vec<_> = unwell.into_iter().map(|(repo, why)| format!("{repo}: {why}")).collect();
    if unwell.is_empty() { Fine(text) } else { Warn(format!("{text}; {}", unwell.join("; "))) }
}

/// Whether the code graph is there. Away it is no failure: the server starts without, and what is learned waits.
async fn graph(config: &Config) -> Finding {
    let (uri, options) = match &config.graph {
        GraphConfig::Off => return Warn("off: reviews do not know who knows what; unset GRAPH to keep one".to_owned()),
        GraphConfig::Database => return Fine("kept in the database, made by `nectr serve`".to_owned()),
        GraphConfig::Neo4j { uri, username, password, database } => {
            let (username, password, database) = (username.clone(), password.clone(), database.clone());
            (uri, Neo4jOptions { uri: uri.clone(), username, password, database })
        }
    };
    let neo4j = match Neo4j::new(&options) {
        Ok(neo4j) => neo4j,
        Err(error) => return Fail(format!("{error}: check NEO4J_URI")),
    };
    match tokio::time::timeout(PATIENCE, neo4j.ping()).await {
        Ok(Ok(())) => Fine(format!("Neo4j answers at {uri}; `nectr serve` makes its schema if need be")),
        Ok(Err(GraphError::Unavailable(_))) | Err(_) => {
            Warn(format!("nothing answers at {uri}: start Neo4j, or set NEO4J_URI; until then what is learned waits"))
        }
        Ok(Err(error)) => Warn(format!("{error}: check NEO4J_USERNAME, NEO4J_PASSWORD and NEO4J_DATABASE for {uri}")),
    }
}

/// Whether a file can be made where `path` will be: tried, because permissions alone do not tell.
fn writable(path: &Path) -> std::io::Result<()> {
    let folders =
        path.ancestors().skip(1).map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    let folder = folders.into_iter().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let probe = folder.join(format!(".nectr-doctor-{}", random_hex(8)));
    OpenOptions::new().write(true).create_new(true).open(&probe)?;
    std::fs::remove_file(&probe)
}

fn sign_in(config: &Config) -> Finding {
    match &config.github.oauth {
        Some(app) => Fine(format!("OAuth app {}, callback {}auth/github/callback", app.client_id, slashed(config))),
        None => Warn("nobody can sign in: set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET".to_owned()),
    }
}

fn slashed(config: &Config) -> String {
    format!("{}/", config.backend_url.as_str().trim_end_matches('/'))
}

#[cfg(test)]
#[path = "doctor_tests.rs"]
mod tests;
