//! Settings as an operator meets them: defaults, production's demands, mistakes, files and precedence.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use clap::{Args, Command, FromArgMatches};
use secrecy::ExposeSecret;

use super::*;

const KEY: &str = "0123456789abcdef0123456789abcdef";

fn config(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
    let base = [("SECRET_KEY", KEY)];
    let pairs: BTreeMap<&str, &str> = base.iter().chain(pairs).copied().collect();
    Config::from_lookup(|name| pairs.get(name).map(|value| (*value).to_owned()))
}

fn problems(pairs: &[(&str, &str)]) -> String {
    config(pairs).unwrap_err().to_string()
}

#[test]
fn with_nothing_set_it_is_a_development_server_with_the_documented_defaults() {
    let config = config(&[]).unwrap();
    assert!(!config.production && config.github.ask_gh && !config.review_approve);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8000");
    assert_eq!(config.database_url.expose_secret(), "sqlite://nectr.db");
    assert_eq!(config.session_length, Duration::from_secs(24 * 60 * 60));
    assert_eq!(config.backend_url.as_str(), "http://localhost:8000/");
    assert_eq!(config.frontend_url, config.backend_url);
    assert_eq!(config.github.api_url.as_str(), "https://api.github.com/");
    assert_eq!(config.github.server_url.as_str(), "https://github.com/");
    assert_eq!((config.github.writes_per_minute, config.github.writes_per_hour), (80, 500));
    assert_eq!((config.workers, config.retention_days, config.review_on_connect), (4, 30, 0));
    assert_eq!((config.log.filter.as_str(), config.log.format), ("info", None));
    assert!(config.github.oauth.is_none() && config.github.pat.is_none() && config.webhook_secret.is_none());
    assert!(config.allowed_users.is_empty() && config.allowed_orgs.is_empty() && config.trusted_proxies.is_empty());
}

#[test]
fn production_listens_everywhere_and_never_asks_gh() {
    let config = config(&[("APP_ENV", "production"), ("GITHUB_PAT", "ghp_x")]).unwrap();
    assert_eq!(config.listen.to_string(), "0.0.0.0:8000");
    assert!(config.production && !config.github.ask_gh);
}

#[test]
fn production_demands_its_mandatory_settings_all_at_once() {
    let text = problems(&[("APP_ENV", "production"), ("SECRET_KEY", ""), ("PORT", "http")]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "PORT must be a number from 0 to 65535, not \"http\".",
            "SECRET_KEY is required in production.",
            "GITHUB_PAT is required in production.",
        ]
    );
}

#[test]
fn a_short_key_is_refused_in_production_and_suffices_in_development() {
    let short = &KEY[1..];
    let text = problems(&[("APP_ENV", "production"), ("SECRET_KEY", short), ("GITHUB_PAT", "x")]);
    assert_eq!(text, "SECRET_KEY must have at least 32 bytes in production.");
    assert!(config(&[("SECRET_KEY", short)]).is_ok());
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = config(&[("PORT", ""), ("GITHUB_PAT", ""), ("GITHUB_PAT_FILE", ""), ("APP_ENV", "")]).unwrap();
    assert_eq!(config.listen.port(), 8000);
    assert!(config.github.pat.is_none());
}

#[test]
fn every_wrong_value_is_named_and_no_secret_is_shown() {
    for (name, value) in [
        ("APP_ENV", "prod"),
        ("HOST", "everywhere"),
        ("PORT", "65536"),
        ("BACKEND_URL", "nectr.example.com"),
        ("BACKEND_URL", "https://nectr.example.com/?a=b"),
        ("BACKEND_URL", "https://me:pw@nectr.example.com"),
        ("FRONTEND_URL", "ftp://example.com"),
        ("TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("RUST_LOG", "nectr=loud"),
        ("LOG_FORMAT", "xml"),
        ("DATABASE_URL", "mysql://u:hunter2@db/x"),
        ("DATABASE_URL", "sqlite::memory:"),
        ("DATABASE_URL", "hunter2"),
        ("DELIVERY_RETENTION_DAYS", "0"),
        ("ACCESS_TOKEN_EXPIRE_MINUTES", "-5"),
        ("ALLOWED_GITHUB_USERS", "ada, @grace"),
        ("GITHUB_API_URL", "//api"),
        ("GITHUB_SERVER_URL", "javascript:alert(1)"),
        ("GITHUB_WRITES_PER_MINUTE", "many"),
        ("NEO4J_URI", "localhost:7687"),
        ("NEO4J_URI", "https://neo4j.example.com"),
        ("NEO4J_URI", "bolt://neo4j:hunter2@neo4j.example.com"),
        ("GRAPH", "postgres"),
        ("REVIEW_APPROVE", "maybe"),
        ("REVIEW_ON_CONNECT", "101"),
        ("WORKERS", "4.5"),
    ] {
        let found = config(&[(name, value)]).unwrap_err();
        assert_eq!(found.0.len(), 1, "{found}");
        assert_eq!(found.0[0].setting, name);
        assert!(found.to_string().starts_with(&format!("{name} must be ")), "{found}");
        assert!(!found.to_string().contains("hunter2"));
    }
}

#[test]
fn a_problem_keeps_the_key_file_from_being_made() {
    let folder = tempfile::tempdir().unwrap();
    let database = format!("sqlite://{}/nectr.db", folder.path().display());
    config(&[("SECRET_KEY", ""), ("DATABASE_URL", &database), ("PORT", "x")]).unwrap_err();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let first = config(&[("SECRET_KEY", ""), ("DATABASE_URL", &database)]).unwrap();
    let second = config(&[("SECRET_KEY", ""), ("DATABASE_URL", &database)]).unwrap();
    assert_eq!(first.secret_key.expose_secret(), second.secret_key.expose_secret());
    assert!(folder.path().join("nectr.db.secret").exists());
}

#[test]
fn the_oauth_app_is_both_halves_or_none() {
    assert!(problems(&[("GITHUB_CLIENT_ID", "x")]).contains("GITHUB_CLIENT_SECRET is not"));
    assert!(problems(&[("GITHUB_CLIENT_SECRET", "x")]).contains("GITHUB_CLIENT_ID is not"));
    let both = config(&[("GITHUB_CLIENT_ID", "id"), ("GITHUB_CLIENT_SECRET", "hush")]).unwrap();
    assert_eq!(both.github.oauth.unwrap().client_id, "id");
}

#[test]
fn addresses_lose_their_trailing_slash_and_keep_their_path() {
    let config = config(&[
        ("BACKEND_URL", "https://example.com/nectr/"),
        ("GITHUB_API_URL", "https://ghe.example.com/api/v3/"),
        ("HOST", "[::1]"),
    ])
    .unwrap();
    assert_eq!(config.backend_url.as_str(), "https://example.com/nectr");
    assert_eq!(config.frontend_url, config.backend_url);
    assert_eq!(config.github.api_url.as_str(), "https://ghe.example.com/api/v3");
    assert_eq!(config.listen.to_string(), "[::1]:8000");
}

#[test]
fn lists_are_split_and_logins_compared_in_lower_case() {
    let config = config(&[("ALLOWED_GITHUB_USERS", " Ada,grace , "), ("TRUSTED_PROXIES", "10.0.0.0/8,::1")]).unwrap();
    assert_eq!(config.allowed_users, ["ada", "grace"]);
    assert_eq!(config.trusted_proxies.len(), 2);
}

#[test]
fn a_secret_can_be_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pat");
    let file = path.to_str().unwrap();
    std::fs::write(&path, " ghp_file \r\n").unwrap();
    let pat = |config: Config| config.github.pat.unwrap().expose_secret().to_owned();
    assert_eq!(pat(config(&[("GITHUB_PAT_FILE", file)]).unwrap()), " ghp_file ");
    assert!(problems(&[("GITHUB_PAT", "x"), ("GITHUB_PAT_FILE", file)]).contains("GITHUB_PAT_FILE are both set"));
    assert!(problems(&[("GITHUB_PAT_FILE", "/nowhere/pat")]).contains("/nowhere/pat cannot be read"));
    std::fs::write(&path, "\n").unwrap();
    assert!(problems(&[("APP_ENV", "production"), ("GITHUB_PAT_FILE", file)]).contains("is empty"));
}

#[test]
fn debug_shows_no_secret() {
    let config = config(&[
        ("DATABASE_URL", "postgres://u:hunter2@db/x"),
        ("SECRET_KEY", "hunter2-hunter2-hunter2-hunter2-"),
        ("SECRET_KEY_PREVIOUS", "hunter2"),
        ("GITHUB_PAT", "hunter2"),
        ("GITHUB_WEBHOOK_SECRET", "hunter2"),
        ("GITHUB_CLIENT_ID", "id"),
        ("GITHUB_CLIENT_SECRET", "hunter2"),
        ("NEO4J_URI", "bolt://x"),
        ("NEO4J_PASSWORD", "hunter2"),
    ])
    .unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn settings_of_parts_that_are_not_there_do_not_keep_it_from_starting() {
    assert!(config(&[("REVIEWER", "anthropic")]).is_ok());
}

#[test]
fn the_code_graph_is_in_neo4j_where_there_is_one_unless_told_otherwise() {
    let graph = |pairs: &[(&str, &str)]| match config(pairs).unwrap().graph {
        GraphConfig::Off => "off".to_owned(),
        GraphConfig::Database => "database".to_owned(),
        GraphConfig::Neo4j { uri, .. } => uri,
    };
    let uri = ("NEO4J_URI", "bolt://neo4j.example.com:7687");
    assert_eq!(graph(&[]), "database");
    assert_eq!(graph(&[("GRAPH", "database")]), "database");
    assert_eq!(graph(&[("GRAPH", "off")]), "off");
    assert_eq!(graph(&[uri]), uri.1);
    assert_eq!(graph(&[("GRAPH", "Neo4j"), uri]), uri.1);
    assert_eq!(graph(&[("GRAPH", "database"), uri]), "database");
    assert_eq!(graph(&[("GRAPH", "off"), uri]), "off");
    assert_eq!(graph(&[("GRAPH", ""), ("NEO4J_URI", ""), ("NEO4J_PASSWORD", "x")]), "database");
    for scheme in ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"] {
        let uri = format!("{scheme}://localhost");
        assert_eq!(graph(&[("NEO4J_URI", &uri)]), uri);
    }
}

#[test]
fn neo4j_without_an_address_is_one_problem() {
    let found = config(&[("GRAPH", "neo4j")]).unwrap_err();
    assert_eq!((found.0.len(), found.0[0].setting), (1, "NEO4J_URI"), "{found}");
    let found = config(&[("GRAPH", "neo4j"), ("NEO4J_URI", "nowhere")]).unwrap_err();
    assert_eq!(found.0.len(), 1, "{found}");
}

#[test]
fn neo4j_is_reached_as_its_usual_user_with_a_password_that_may_be_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    std::fs::write(&path, "hunter2\n").unwrap();
    let neo4j = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = [("NEO4J_URI", "bolt://x")].iter().chain(pairs).copied().collect();
        let GraphConfig::Neo4j { username, password, database, .. } = config(&pairs).unwrap().graph else { panic!() };
        (username, password.map(|password| password.expose_secret().to_owned()), database)
    };
    assert_eq!(neo4j(&[]), ("neo4j".to_owned(), None, None));
    let file = path.to_str().unwrap();
    let all = [("NEO4J_USERNAME", "nectr"), ("NEO4J_PASSWORD_FILE", file), ("NEO4J_DATABASE", "code")];
    assert_eq!(neo4j(&all), ("nectr".to_owned(), Some("hunter2".to_owned()), Some("code".to_owned())));
    let both = [("NEO4J_URI", "bolt://x"), ("NEO4J_PASSWORD", "x"), ("NEO4J_PASSWORD_FILE", file)];
    assert!(problems(&both).contains("NEO4J_PASSWORD_FILE are both set"));
}

#[test]
fn a_sandbox_talks_to_nobody_real() {
    let config =
        Config::for_sandbox("http://127.0.0.1:1", "http://127.0.0.1:1", "sqlite:///x", &[("PORT", "0")]).unwrap();
    assert!(!config.github.ask_gh);
    assert_eq!((config.github.api_url.port(), config.listen.port()), (Some(1), 0));
}

fn flags(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    Flags::from_arg_matches(&command.get_matches_from(arguments)).unwrap()
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_env_file() {
    let environment: BTreeMap<&str, &str> =
        [("PORT", "2"), ("HOST", "::2"), ("GITHUB_PAT_FILE", "/env"), ("WORKERS", "")].into();
    let env_file = [("PORT", "3"), ("HOST", "::3"), ("WORKERS", "3"), ("GITHUB_PAT", "file")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut problems = Problems::default();
    let values = sources::Values::gather(
        &flags(&["--port", "1", "--secret-key-file", "/key"]),
        |name| if name == "LOG_FORMAT" { Err(()) } else { Ok(environment.get(name).map(|value| (*value).to_owned())) },
        &env_file.into(),
        &mut problems,
    );
    let found = |name: &str| values.get(name).map(|(value, origin)| (value.as_str(), *origin));
    assert_eq!(found("PORT"), Some(("1", Origin::Flag)));
    assert_eq!(found("SECRET_KEY_FILE"), Some(("/key", Origin::Flag)));
    assert_eq!(found("HOST"), Some(("::2", Origin::Environment)));
    assert_eq!(found("WORKERS"), Some(("3", Origin::EnvFile)), "an empty variable hides nothing");
    assert_eq!((found("GITHUB_PAT_FILE"), found("GITHUB_PAT")), (Some(("/env", Origin::Environment)), None));
    assert_eq!(problems.to_string(), "LOG_FORMAT is not UTF-8.");
}

#[test]
fn help_names_every_variable_and_every_flag_follows_its_variable() {
    let help = Flags::augment_args(Command::new("serve")).render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&format!("[env: {}", setting.name)), "{}", setting.name);
        assert_eq!(setting.flag, setting.name.to_lowercase().replace('_', "-"));
        if let Some((name, flag)) = setting.file {
            assert!(help.contains(name), "{name}");
            assert_eq!((name, flag), (&*format!("{}_FILE", setting.name), &*format!("{}-file", setting.flag)));
        }
    }
}

#[test]
fn flags_show_their_names_only() {
    assert_eq!(format!("{:?}", flags(&["--github-pat", "hunter2"])), "{\"GITHUB_PAT\"}");
}

#[test]
fn a_line_of_the_env_file_that_is_no_setting_is_named_by_its_number() {
    let mut problems = Problems::default();
    let text = "# mine\nPORT=9000\nGITHUB_PAT=hunter2 hunter2\nexport HOST='::1'\n\nnonsense\n";
    let values = sources::parse_env_file(text, &mut problems);
    assert_eq!((values["PORT"].as_str(), values["HOST"].as_str()), ("9000", "::1"));
    let lines: Vec<_> = problems.of(".env").collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(".env, line 3:") && lines[1].starts_with(".env, line 6:"), "{lines:?}");
    assert!(!problems.to_string().contains("hunter2"));
}

#[test]
fn a_command_that_only_opens_the_database_needs_no_more_than_its_address() {
    let lookup = |name: &str| (name == "APP_ENV").then(|| "production".to_owned());
    let settings = read::database_settings(&lookup, Problems::default()).unwrap();
    assert_eq!(settings.url.expose_secret(), "sqlite://nectr.db");
    let lookup = |name: &str| (name == "DATABASE_URL").then(|| "mysql://x".to_owned());
    assert!(read::database_settings(&lookup, Problems::default()).is_err());
}
