//! Settings: flag, then environment, then `.env`, then default. The only reader of the environment.
//!
//! A [`Config`] is complete and checked: whoever holds one need not doubt it, and nothing has been started before there
//! is one. When there cannot be one, [`Problems`] names everything to mend, not just the first thing.

mod otel;
mod problems;
mod read;
mod secret_key;
mod settings;
mod sources;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::SecretString;
use url::Url;

use crate::telemetry::{LogFormat, Otlp};

pub use problems::{Problem, Problems};
pub use settings::{SETTINGS, Setting, WhenUnset, setting};
use sources::Sources;
pub use sources::{Flags, Origin};

/// How long `SECRET_KEY` must be in production, in bytes: as many as the keys derived from it.
pub const MIN_SECRET_KEY: usize = 32;

/// Everything that can be set, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// `APP_ENV=production`.
    pub production: bool,
    /// `HOST`, `PORT`.
    pub listen: SocketAddr,
    /// `DATABASE_URL`, as given (may hold a password: never log it).
    pub database_url: SecretString,
    /// `SECRET_KEY` (in development generated beside the SQLite database when unset).
    pub secret_key: SecretString,
    /// `SECRET_KEY_PREVIOUS`.
    pub secret_key_previous: Option<SecretString>,
    /// `ACCESS_TOKEN_EXPIRE_MINUTES`.
    pub session_length: Duration,
    /// `BACKEND_URL` without trailing slash.
    pub backend_url: Url,
    /// `FRONTEND_URL` without trailing slash.
    pub frontend_url: Url,
    /// `GITHUB_*`.
    pub github: GitHubConfig,
    /// `ALLOWED_GITHUB_USERS`, lower case; empty together with the organisations: everybody.
    pub allowed_users: Vec<String>,
    /// `ALLOWED_GITHUB_ORGS`, lower case.
    pub allowed_orgs: Vec<String>,
    /// `GITHUB_WEBHOOK_SECRET`.
    pub webhook_secret: Option<SecretString>,
    /// `GRAPH`, `NEO4J_*`.
    pub graph: GraphConfig,
    /// `REVIEW_APPROVE`.
    pub review_approve: bool,
    /// `REVIEW_ON_CONNECT`.
    pub review_on_connect: u32,
    /// `WORKERS`.
    pub workers: usize,
    /// `DELIVERY_RETENTION_DAYS`.
    pub retention_days: u32,
    /// `METRICS_TOKEN`.
    pub metrics_token: Option<SecretString>,
    /// `TRUSTED_PROXIES`.
    pub trusted_proxies: Vec<ipnet::IpNet>,
    /// `RUST_LOG`, `LOG_FORMAT`.
    pub log: LogConfig,
    /// `OTEL_*`; none: nothing is exported.
    pub otlp: Option<Otlp>,
    /// The `.env` file that was read, if any (shown by `doctor`).
    pub env_file: Option<PathBuf>,
}

/// What is logged, and how.
#[derive(Debug, Clone)]
pub struct LogConfig {
    /// `RUST_LOG`, known to be a filter.
    pub filter: String,
    /// `LOG_FORMAT`; none: whatever suits where the log goes.
    pub format: Option<LogFormat>,
}

/// How GitHub is reached.
#[derive(Debug, Clone)]
pub struct GitHubConfig {
    /// `GITHUB_API_URL` without trailing slash; may have a path (GitHub Enterprise Server).
    pub api_url: Url,
    /// `GITHUB_SERVER_URL` without trailing slash.
    pub server_url: Url,
    /// `GITHUB_CLIENT_ID` and `GITHUB_CLIENT_SECRET`: both or neither.
    pub oauth: Option<OAuthApp>,
    /// `GITHUB_PAT`.
    pub pat: Option<SecretString>,
    /// Whether `gh auth token` may be asked for the bot's token (development only).
    pub ask_gh: bool,
    /// `GITHUB_WRITES_PER_MINUTE`; 0 is off.
    pub writes_per_minute: u32,
    /// `GITHUB_WRITES_PER_HOUR`; 0 is off.
    pub writes_per_hour: u32,
}

/// Where the code graph lives.
#[derive(Debug, Clone)]
pub enum GraphConfig {
    /// There is none.
    Off,
    /// Beside the database.
    Database,
    /// In a Neo4j.
    Neo4j {
        /// `NEO4J_URI`.
        uri: String,
        /// `NEO4J_USERNAME`.
        username: String,
        /// `NEO4J_PASSWORD`; none where authentication is off.
        password: Option<SecretString>,
        /// `NEO4J_DATABASE`; none: the server's default.
        database: Option<String>,
    },
}

/// The OAuth app people sign in with.
#[derive(Debug, Clone)]
pub struct OAuthApp {
    /// Public half.
    pub client_id: String,
    /// Secret half.
    pub client_secret: SecretString,
}

/// What a command needs that only opens the database.
#[derive(Debug, Clone)]
pub struct DatabaseSettings {
    /// `DATABASE_URL`.
    pub url: SecretString,
    /// `RUST_LOG`, `LOG_FORMAT`.
    pub log: LogConfig,
}

impl DatabaseSettings {
    /// Reads flags, environment, `.env` and defaults. Writes nothing.
    pub fn load(flags: &Flags) -> Result<Self, Problems> {
        let (sources, problems) = Sources::gather(flags);
        read::database_settings(&sources.lookup(), problems)
    }
}

/// Where the server of this machine is asked how it is: `HOST` and `PORT` alone, whatever else is set. Writes nothing.
pub fn nearby(flags: &Flags) -> Result<SocketAddr, Problems> {
    let (sources, problems) = Sources::gather(flags);
    read::listen(&sources.lookup(), problems).map(near)
}

/// Where somebody on this machine reaches what listens on `listen`, which may be every address there is.
pub fn near(mut listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    listen
}

/// The settings, and where each came from. What `nectr doctor` looks at.
pub struct Inspection {
    /// The settings, or what is wrong with them.
    pub config: Result<Config, Problems>,
    sources: Sources,
}

impl Inspection {
    /// Looks at flags, environment and `.env`.
    pub fn of(flags: &Flags) -> Self {
        let (sources, problems) = Sources::gather(flags);
        let env_file = sources.env_file.clone();
        let config = read::config(&sources.lookup(), problems).map(|config| Config { env_file, ..config });
        Self { config, sources }
    }

    /// Where the value of `setting` came from, and the value itself unless it is secret. None: it is not set.
    pub fn origin(&self, setting: &Setting) -> Option<(Origin, Option<&str>)> {
        let direct = self.sources.values.get(setting.name);
        let file = setting.file.and_then(|(name, _)| self.sources.values.get(name));
        let (value, origin) = direct.or(file)?;
        Some((*origin, (!setting.secret()).then_some(value.as_str())))
    }
}

impl Config {
    /// Reads flags, environment, `.env` and defaults. May make a `SECRET_KEY` file in development.
    pub fn load(flags: &Flags) -> Result<Self, Problems> {
        Inspection::of(flags).config
    }

    /// Reads settings through a function instead of from the process: `lookup` is asked for variables by name.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Problems> {
        read::config(&lookup, Problems::default())
    }

    /// Settings against a GitHub that is not github.com: what demo and tests run on. `more` adds to or overrides what
    /// is set here. Never asks `gh` for a token and never makes a key file: a sandbox has no use for real secrets.
    pub fn for_sandbox(
        api_url: &str,
        server_url: &str,
        database_url: &str,
        more: &[(&str, &str)],
    ) -> Result<Self, Problems> {
        let base = [
            ("GITHUB_API_URL", api_url),
            ("GITHUB_SERVER_URL", server_url),
            ("DATABASE_URL", database_url),
            ("SECRET_KEY", "nothing in a sandbox is worth hiding"),
        ];
        let lookup = |name: &str| {
            let mut all = more.iter().chain(&base);
            all.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let mut config = Self::from_lookup(lookup)?;
        config.github.ask_gh = false;
        Ok(config)
    }
}
