//! From text to checked values. Problems are collected, not returned: the last step looks whether there were any.

use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{
    Config, DatabaseSettings, GitHubConfig, GraphConfig, LogConfig, MIN_SECRET_KEY, OAuthApp, Problems, WhenUnset,
    otel, secret_key, setting,
};
use crate::telemetry::LogFormat;

/// Reads settings through `lookup`, which is asked for variables by name.
pub(super) struct Reader<'a> {
    lookup: Lookup<'a>,
    production: bool,
    problems: Problems,
}

/// The words for yes and no.
pub(super) const YES_NO: &[(&str, bool)] =
    &[("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];

/// What is asked for a variable by name.
pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The settings of a command that only opens the database: what else is missing does not concern it.
pub(super) fn database_settings(lookup: Lookup<'_>, problems: Problems) -> Result<DatabaseSettings, Problems> {
    let mut read = Reader { lookup, production: false, problems };
    let (database, log) = (read.database(), read.log());
    match (database, read.problems.0.as_slice()) {
        (Some(database), []) => Ok(DatabaseSettings { url: database.url, log }),
        _ => Err(read.problems),
    }
}

/// Where a server with these settings listens.
pub(super) fn listen(lookup: Lookup<'_>, problems: Problems) -> Result<SocketAddr, Problems> {
    let mut read = Reader { lookup, production: false, problems };
    let listen = read.listen();
    if read.problems.0.is_empty() { Ok(listen) } else { Err(read.problems) }
}

/// All settings.
pub(super) fn config(lookup: Lookup<'_>, problems: Problems) -> Result<Config, Problems> {
    let mut read = Reader { lookup, production: false, problems };
    read.production = read.choice("APP_ENV", &[("production", true), ("development", false)]).unwrap_or(false);
    let production = read.production;

    let listen = read.listen();
    let backend_url =
        read.url("BACKEND_URL").or_else(|| Url::parse(&format!("http://localhost:{}", listen.port())).ok());
    let frontend_url = read.url("FRONTEND_URL").or_else(|| backend_url.clone());
    let trusted_proxies = read.list("TRUSTED_PROXIES", "a network like 10.0.0.0/8", network);
    let metrics_token = read.secret("METRICS_TOKEN");
    let log = read.log();
    let otlp = otel::otlp(&mut read);
    let database = read.database();
    let retention_days = read.number("DELIVERY_RETENTION_DAYS", 1, 3650);
    let secret_key = read.secret("SECRET_KEY");
    let secret_key_previous = read.secret("SECRET_KEY_PREVIOUS");
    let minutes: u64 = read.number("ACCESS_TOKEN_EXPIRE_MINUTES", 1, 366 * 24 * 60);
    let allowed_users = read.list("ALLOWED_GITHUB_USERS", "a GitHub login", login);
    let allowed_orgs = read.list("ALLOWED_GITHUB_ORGS", "a GitHub login", login);
    let oauth = read.oauth();
    let pat = read.secret("GITHUB_PAT");
    let webhook_secret = read.secret("GITHUB_WEBHOOK_SECRET");
    let (api_url, server_url) = (read.url("GITHUB_API_URL"), read.url("GITHUB_SERVER_URL"));
    let writes_per_minute = read.number("GITHUB_WRITES_PER_MINUTE", 0, u32::MAX);
    let writes_per_hour = read.number("GITHUB_WRITES_PER_HOUR", 0, u32::MAX);
    let graph = read.graph();
    let review_approve = read.choice("REVIEW_APPROVE", YES_NO).unwrap_or(false);
    let review_on_connect = read.number("REVIEW_ON_CONNECT", 0, 100);
    let workers = read.number("WORKERS", 0, 256);

    if production && secret_key.as_ref().is_some_and(|key| key.expose_secret().len() < MIN_SECRET_KEY) {
        read.problems.add("SECRET_KEY", format!("SECRET_KEY must have at least {MIN_SECRET_KEY} bytes in production."));
    }
    // Last, because it may write a file: only when everything else is well.
    let secret_key = match (secret_key, &database) {
        (Some(key), _) => Some(key),
        (None, Some(database)) if read.problems.0.is_empty() => read.made_key(database),
        _ => None,
    };
    let (Some(database), Some(secret_key), Some(backend_url), Some(frontend_url), Some(api_url), Some(server_url), []) =
        (database, secret_key, backend_url, frontend_url, api_url, server_url, read.problems.0.as_slice())
    else {
        return Err(read.problems);
    };
    Ok(Config {
        production,
        listen,
        database_url: database.url,
        secret_key,
        secret_key_previous,
        session_length: Duration::from_secs(minutes * 60),
        backend_url,
        frontend_url,
        github: GitHubConfig {
            api_url,
            server_url,
            oauth,
            pat,
            ask_gh: !production,
            writes_per_minute,
            writes_per_hour,
        },
        allowed_users,
        allowed_orgs,
        webhook_secret,
        graph,
        review_approve,
        review_on_connect,
        workers,
        retention_days,
        metrics_token,
        trusted_proxies,
        log,
        otlp,
        env_file: None,
    })
}

impl Reader<'_> {
    /// The value as given, or the default. Nothing when there is none (or it is a problem already).
    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        let setting = setting(name).expect("only settings of the table are read");
        let get = |name: &str| (self.lookup)(name).filter(|value| !value.is_empty());
        let file = setting.file.and_then(|(variable, _)| Some((variable, get(variable)?)));
        match (get(name), file) {
            (Some(_), Some((variable, _))) => {
                self.problems.add(name, format!("{name} and {variable} are both set; keep one."));
                None
            }
            (Some(value), None) => Some(value),
            (None, Some((variable, path))) => match fs::read_to_string(&path) {
                Ok(text) if !text.trim().is_empty() => Some(text.trim_end_matches(['\r', '\n']).to_owned()),
                Ok(_) => {
                    self.problems.add(name, format!("{variable}: {path} is empty."));
                    None
                }
                Err(error) => {
                    self.problems.add(name, format!("{variable}: {path} cannot be read: {error}."));
                    None
                }
            },
            (None, None) if self.production && setting.required_in_production => {
                self.problems.add(name, format!("{name} is required in production."));
                None
            }
            (None, None) => match setting.default {
                WhenUnset::Value(value) => Some(value.to_owned()),
                WhenUnset::Nothing | WhenUnset::Derived(_) => None,
            },
        }
    }

    pub(super) fn parse<T>(
        &mut self,
        name: &'static str,
        wanted: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let parsed = parse(text.trim());
        if parsed.is_none() {
            // An address with an @ may hold a password.
            let hidden = text.contains('@') || setting(name).is_some_and(|it| it.secret());
            let shown = if hidden { String::new() } else { format!(", not {text:?}") };
            self.problems.add(name, format!("{name} must be {wanted}{shown}."));
        }
        parsed
    }

    fn listen(&mut self) -> SocketAddr {
        let anywhere = if self.production { Ipv4Addr::UNSPECIFIED } else { Ipv4Addr::LOCALHOST };
        let host = self.parse("HOST", "an IP address", host).unwrap_or(IpAddr::V4(anywhere));
        SocketAddr::new(host, self.number("PORT", 0, u16::MAX))
    }

    fn secret(&mut self, name: &'static str) -> Option<SecretString> {
        self.text(name).map(SecretString::from)
    }

    pub(super) fn number<T>(&mut self, name: &'static str, min: T, max: T) -> T
    where
        T: Copy + PartialOrd + std::str::FromStr + std::fmt::Display,
    {
        let in_range = |text: &str| text.parse().ok().filter(|number| (min..=max).contains(number));
        self.parse(name, &format!("a number from {min} to {max}"), in_range).unwrap_or(min)
    }

    pub(super) fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        self.parse(name, &words.join(" or "), |text| {
            choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, choice)| *choice)
        })
    }

    fn list<T>(&mut self, name: &'static str, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let all = |text: &str| {
            text.split([',', ' ', '\n', '\t']).filter(|part| !part.is_empty()).map(&parse).collect::<Option<Vec<T>>>()
        };
        self.parse(name, &format!("a list, each {wanted}"), all).unwrap_or_default()
    }

    pub(super) fn url(&mut self, name: &'static str) -> Option<Url> {
        self.parse(name, "an http:// or https:// address without query", http_url)
    }

    /// An address that is used as it stands, to the last slash.
    pub(super) fn whole_url(&mut self, name: &'static str) -> Option<Url> {
        self.parse(name, "an http:// or https:// address without query", plain_url)
    }

    fn database(&mut self) -> Option<Database> {
        self.parse("DATABASE_URL", "sqlite://PATH or postgres://...", database)
    }

    fn log(&mut self) -> LogConfig {
        LogConfig {
            filter: self.parse("RUST_LOG", "a log filter", log_filter).unwrap_or_default(),
            format: self.choice("LOG_FORMAT", &[("pretty", LogFormat::Pretty), ("json", LogFormat::Json)]),
        }
    }

    fn oauth(&mut self) -> Option<OAuthApp> {
        let before = self.problems.0.len();
        let (id, secret) = (self.text("GITHUB_CLIENT_ID"), self.secret("GITHUB_CLIENT_SECRET"));
        match (id, secret) {
            (Some(client_id), Some(client_secret)) => return Some(OAuthApp { client_id, client_secret }),
            // Do not blame the other half for a secret that could not be read.
            _ if self.problems.0.len() > before => {}
            (Some(_), None) => {
                self.problems.add("GITHUB_CLIENT_SECRET", "GITHUB_CLIENT_ID is set, but GITHUB_CLIENT_SECRET is not.");
            }
            (None, Some(_)) => {
                self.problems.add("GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET is set, but GITHUB_CLIENT_ID is not.");
            }
            (None, None) => {}
        }
        None
    }

    fn graph(&mut self) -> GraphConfig {
        let uri = self.parse("NEO4J_URI", "bolt://HOST:PORT or neo4j://HOST:PORT (+s or +ssc for TLS)", neo4j_uri);
        let username = self.text("NEO4J_USERNAME").unwrap_or_default();
        let (password, database) = (self.secret("NEO4J_PASSWORD"), self.text("NEO4J_DATABASE"));
        let words = [("neo4j", Some(true)), ("database", Some(false)), ("off", None)];
        match (self.choice("GRAPH", &words), uri) {
            (Some(None), _) => GraphConfig::Off,
            (Some(Some(true)) | None, Some(uri)) => GraphConfig::Neo4j { uri, username, password, database },
            (Some(Some(true)), None) => {
                if self.problems.0.iter().all(|problem| problem.setting != "NEO4J_URI") {
                    self.problems.add("NEO4J_URI", "GRAPH is neo4j, but NEO4J_URI is not set.");
                }
                GraphConfig::Off
            }
            (Some(Some(false)) | None, _) => GraphConfig::Database,
        }
    }

    fn made_key(&mut self, database: &Database) -> Option<SecretString> {
        let path = match &database.file {
            Some(file) => PathBuf::from(format!("{}.secret", file.display())),
            None => PathBuf::from("nectr.secret"),
        };
        match secret_key::read_or_create(&path) {
            Ok(key) => Some(key.into()),
            Err(error) => {
                let text = format!("SECRET_KEY is not set, and {} cannot be used: {error}.", path.display());
                self.problems.add("SECRET_KEY", text);
                None
            }
        }
    }
}

struct Database {
    url: SecretString,
    /// The file of a SQLite database.
    file: Option<PathBuf>,
}

fn database(text: &str) -> Option<Database> {
    let url = text.into();
    if let Some(path) = text.strip_prefix("sqlite://").or_else(|| text.strip_prefix("sqlite:")) {
        let path = path.split('?').next().unwrap_or(path);
        // A database in memory would forget deliveries that were acknowledged.
        return (!path.is_empty() && path != ":memory:").then(|| Database { url, file: Some(path.into()) });
    }
    let parsed = Url::parse(text).ok()?;
    matches!(parsed.scheme(), "postgres" | "postgresql").then_some(Database { url, file: None })
}

fn host(text: &str) -> Option<IpAddr> {
    if text == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { text.trim_matches(['[', ']']).parse().ok() }
}

fn http_url(text: &str) -> Option<Url> {
    let mut url = plain_url(text)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

fn plain_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    plain.then_some(url)
}

fn neo4j_uri(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let scheme = matches!(url.scheme(), "bolt" | "bolt+s" | "bolt+ssc" | "neo4j" | "neo4j+s" | "neo4j+ssc");
    (scheme && url.has_host() && url.username().is_empty()).then(|| text.to_owned())
}

fn network(text: &str) -> Option<ipnet::IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(ipnet::IpNet::from))
}

fn login(text: &str) -> Option<String> {
    let fits = text.len() <= 100 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    fits.then(|| text.to_ascii_lowercase())
}

fn log_filter(text: &str) -> Option<String> {
    tracing_subscriber::EnvFilter::try_new(text).ok().map(|_| text.to_owned())
}
