//! Every setting there is, as data: flags, `--help`, `*_FILE` variants, defaults and `nectr doctor` are made from this
//! one table, so that none of them can forget a setting another knows.

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The flag, without its dashes.
    pub flag: &'static str,
    /// For a secret: the variable and the flag that name a file to read it from.
    pub file: Option<(&'static str, &'static str)>,
    /// What is used when it is not set.
    pub default: WhenUnset,
    /// Whether a production server refuses to start without it.
    pub required_in_production: bool,
    /// The heading it stands under.
    pub section: &'static str,
    /// What to write behind the flag.
    pub value: &'static str,
    /// What it is for, in one sentence.
    pub help: &'static str,
}

/// What a setting is when nobody set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenUnset {
    /// Nothing.
    Nothing,
    /// This value.
    Value(&'static str),
    /// Worked out from something else; the text says how.
    Derived(&'static str),
}

impl Setting {
    /// Whether its value must never be shown.
    pub fn secret(&self) -> bool {
        self.file.is_some()
    }
}

/// The table. [`setting`] finds a row.
pub const SETTINGS: &[Setting] = &SECTIONS;

/// The row of `name`.
pub fn setting(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

macro_rules! table {
    ($($section:literal { $($name:literal $flag:literal $value:literal = $default:expr, $($mark:ident)* : $help:literal;)* })*) => {
        [$($(Setting {
            name: $name,
            flag: $flag,
            file: file!($name, $flag, $($mark)*),
            default: $default,
            required_in_production: required!($($mark)*),
            section: $section,
            value: $value,
            help: $help,
        },)*)*]
    };
}

macro_rules! file {
    ($name:literal, $flag:literal, secret $($rest:ident)*) => {
        Some((concat!($name, "_FILE"), concat!($flag, "-file")))
    };
    ($name:literal, $flag:literal, $($rest:ident)*) => {
        None
    };
}

macro_rules! required {
    (secret required) => {
        true
    };
    ($($rest:ident)*) => {
        false
    };
}

use WhenUnset::{Derived, Nothing, Value};

const SECTIONS: [Setting; 50] = table! {
    "Server" {
        "APP_ENV" "app-env" "ENV" = Value("development"), :
            "`production` makes the marked settings mandatory; otherwise `development`";
        "HOST" "host" "ADDRESS" = Derived("127.0.0.1, in production 0.0.0.0"), :
            "Address to listen on";
        "PORT" "port" "PORT" = Value("8000"), :
            "Port to listen on";
        "BACKEND_URL" "backend-url" "URL" = Derived("http://localhost:PORT"), :
            "Where GitHub and browsers reach this server";
        "FRONTEND_URL" "frontend-url" "URL" = Derived("BACKEND_URL"), :
            "Where the browser goes after signing in";
        "TRUSTED_PROXIES" "trusted-proxies" "NETWORKS" = Nothing, :
            "Networks (comma separated) whose X-Forwarded-For is believed";
        "METRICS_TOKEN" "metrics-token" "TOKEN" = Nothing, secret :
            "Bearer token for /metrics; without one, in production only this machine may read it";
        "RUST_LOG" "rust-log" "FILTER" = Value("info"), :
            "What to log: a level, or `target=level` pairs";
        "LOG_FORMAT" "log-format" "FORMAT" = Derived("`pretty` on a terminal, else `json`"), :
            "`pretty` or `json`";
    }
    "Telemetry" {
        "OTEL_EXPORTER_OTLP_ENDPOINT" "otel-exporter-otlp-endpoint" "URL" = Nothing, :
            "OTLP collector that traces and metrics go to, like http://HOST:4318; without one they go nowhere";
        "OTEL_EXPORTER_OTLP_HEADERS" "otel-exporter-otlp-headers" "HEADERS" = Nothing, secret :
            "What the collector wants to see, as NAME=VALUE, comma separated";
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" "otel-exporter-otlp-traces-endpoint" "URL" = Derived("OTEL_EXPORTER_OTLP_ENDPOINT/v1/traces"), :
            "The whole address for traces, where it is another";
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" "otel-exporter-otlp-metrics-endpoint" "URL" = Derived("OTEL_EXPORTER_OTLP_ENDPOINT/v1/metrics"), :
            "The whole address for metrics, where it is another";
        "OTEL_EXPORTER_OTLP_TRACES_HEADERS" "otel-exporter-otlp-traces-headers" "HEADERS" = Derived("OTEL_EXPORTER_OTLP_HEADERS"), secret :
            "What the collector of traces wants to see, in place of the general headers";
        "OTEL_EXPORTER_OTLP_METRICS_HEADERS" "otel-exporter-otlp-metrics-headers" "HEADERS" = Derived("OTEL_EXPORTER_OTLP_HEADERS"), secret :
            "What the collector of metrics wants to see, in place of the general headers";
        "OTEL_EXPORTER_OTLP_TIMEOUT" "otel-exporter-otlp-timeout" "MILLISECONDS" = Value("10000"), :
            "How long one request to the collector may take";
        "OTEL_EXPORTER_OTLP_PROTOCOL" "otel-exporter-otlp-protocol" "PROTOCOL" = Value("http/protobuf"), :
            "How the collector is talked to: `http/protobuf` is all there is";
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL" "otel-exporter-otlp-traces-protocol" "PROTOCOL" = Derived("OTEL_EXPORTER_OTLP_PROTOCOL"), :
            "The same for traces";
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL" "otel-exporter-otlp-metrics-protocol" "PROTOCOL" = Derived("OTEL_EXPORTER_OTLP_PROTOCOL"), :
            "The same for metrics";
        "OTEL_SERVICE_NAME" "otel-service-name" "NAME" = Value("nectr"), :
            "What this service is called in traces and metrics";
        "OTEL_RESOURCE_ATTRIBUTES" "otel-resource-attributes" "ATTRIBUTES" = Nothing, :
            "What else is said of this process, as NAME=VALUE, comma separated";
        "OTEL_TRACES_EXPORTER" "otel-traces-exporter" "EXPORTER" = Value("otlp"), :
            "`otlp` or `none`";
        "OTEL_METRICS_EXPORTER" "otel-metrics-exporter" "EXPORTER" = Value("otlp"), :
            "`otlp` or `none`; /metrics is there in any case";
        "OTEL_METRIC_EXPORT_INTERVAL" "otel-metric-export-interval" "MILLISECONDS" = Value("60000"), :
            "Time between two exports of metrics";
        "OTEL_TRACES_SAMPLER" "otel-traces-sampler" "SAMPLER" = Value("parentbased_always_on"), :
            "Which traces are kept: `always_on`, `always_off`, `traceidratio`, or one of them after `parentbased_`";
        "OTEL_TRACES_SAMPLER_ARG" "otel-traces-sampler-arg" "RATIO" = Value("1"), :
            "For `traceidratio`: which part of the traces is kept, from 0 to 1";
        "OTEL_SDK_DISABLED" "otel-sdk-disabled" "BOOL" = Value("false"), :
            "Whether nothing is exported, whatever else is set";
    }
    "Database" {
        "DATABASE_URL" "database-url" "URL" = Value("sqlite://nectr.db"), secret :
            "`sqlite://PATH` (created if absent) or `postgres://...`";
        "DELIVERY_RETENTION_DAYS" "delivery-retention-days" "DAYS" = Value("30"), :
            "Finished deliveries older than this are deleted, dead ones after three times this";
    }
    "Secrets and sign-in" {
        "SECRET_KEY" "secret-key" "KEY" = Derived("in development generated into a file beside the SQLite database"), secret required :
            "Signs tokens and seals stored secrets; at least 32 bytes in production";
        "SECRET_KEY_PREVIOUS" "secret-key-previous" "KEY" = Nothing, secret :
            "The SECRET_KEY before the present one: still opens and verifies";
        "ACCESS_TOKEN_EXPIRE_MINUTES" "access-token-expire-minutes" "MINUTES" = Value("1440"), :
            "How long a sign-in lasts";
        "ALLOWED_GITHUB_USERS" "allowed-github-users" "LOGINS" = Derived("everybody, unless ALLOWED_GITHUB_ORGS is set"), :
            "Who may sign in: GitHub logins, comma separated";
        "ALLOWED_GITHUB_ORGS" "allowed-github-orgs" "LOGINS" = Derived("everybody, unless ALLOWED_GITHUB_USERS is set"), :
            "Whose members may sign in: GitHub organisations, comma separated";
    }
    "GitHub" {
        "GITHUB_CLIENT_ID" "github-client-id" "ID" = Nothing, :
            "The OAuth app people sign in with";
        "GITHUB_CLIENT_SECRET" "github-client-secret" "SECRET" = Nothing, secret :
            "The OAuth app's secret";
        "GITHUB_PAT" "github-pat" "TOKEN" = Nothing, secret required :
            "Token of the bot account that reads and posts reviews; in development `gh auth token` is asked first";
        "GITHUB_WEBHOOK_SECRET" "github-webhook-secret" "SECRET" = Nothing, secret :
            "Secret of webhooks made by hand, for repositories nobody connected";
        "GITHUB_API_URL" "github-api-url" "URL" = Value("https://api.github.com"), :
            "GitHub's API (GitHub Enterprise Server: https://HOST/api/v3)";
        "GITHUB_SERVER_URL" "github-server-url" "URL" = Value("https://github.com"), :
            "GitHub's web pages, where people sign in";
        "GITHUB_WRITES_PER_MINUTE" "github-writes-per-minute" "COUNT" = Value("80"), :
            "At most this many writes (a review is two) per minute, and none within 1.1 s of another; 0: neither";
        "GITHUB_WRITES_PER_HOUR" "github-writes-per-hour" "COUNT" = Value("500"), :
            "At most this many writes (a review is two) per hour; 0: no limit";
    }
    "Code graph" {
        "GRAPH" "graph" "BACKEND" = Derived("`neo4j` if NEO4J_URI is set, else `database`"), :
            "Where the code graph lives: `neo4j`, `database` (beside the database), or `off`";
        "NEO4J_URI" "neo4j-uri" "URI" = Nothing, :
            "The Neo4j server: bolt://HOST:PORT, neo4j://HOST:PORT, or either with +s for TLS";
        "NEO4J_USERNAME" "neo4j-username" "USER" = Value("neo4j"), :
            "User of the Neo4j server";
        "NEO4J_PASSWORD" "neo4j-password" "PASSWORD" = Nothing, secret :
            "Password of that user; unset where the server asks for none";
        "NEO4J_DATABASE" "neo4j-database" "NAME" = Derived("the server's default"), :
            "Database on the Neo4j server";
    }
    "Reviews" {
        "REVIEW_APPROVE" "review-approve" "BOOL" = Value("false"), :
            "Whether approval may be posted as an approval rather than a comment";
        "REVIEW_ON_CONNECT" "review-on-connect" "COUNT" = Value("0"), :
            "How many recent open pull requests are reviewed when a repository is connected (at most 100)";
        "WORKERS" "workers" "COUNT" = Value("4"), :
            "Reviews in flight in this process (at most 256); 0: accept deliveries and process none";
    }
};
