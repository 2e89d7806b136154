//! Who may import whom. Downward only, and each library is named in one room.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What each room may import. `domain`, `telemetry` and `apart` may be used by all.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    (
        "cli",
        &[
            "accounts", "api", "app", "config", "github", "graph", "inbox", "run", "sandbox", "seal", "store", "sweep",
            "web", "webhook",
        ],
    ),
    ("run", &["api", "app", "config", "graph", "handlers", "inbox", "seal", "store", "sweep"]),
    ("api", &["accounts", "app", "config", "github", "graph", "inbox", "knowledge", "store", "webhook"]),
    ("handlers", &["accounts", "app", "github", "knowledge", "review", "store", "webhook"]),
    ("sweep", &["accounts", "app", "github", "inbox", "store"]),
    ("review", &["app", "github", "graph", "scan", "store"]),
    ("knowledge", &["app", "github", "graph", "inbox", "scan", "store"]),
    ("accounts", &["app", "config", "github", "inbox", "seal", "store"]),
    ("app", &["config", "github", "graph", "inbox", "seal", "store"]),
    ("inbox", &["store", "webhook"]),
    ("sandbox", &["webhook"]),
    ("config", &[]),
    ("apart", &[]),
    ("domain", &[]),
    ("github", &["web"]),
    // The graph in SQL: all SQL is in `store`.
    ("graph", &["store"]),
    ("scan", &[]),
    ("seal", &[]),
    ("store", &[]),
    ("telemetry", &["web"]),
    ("web", &[]),
    ("webhook", &[]),
];

/// Libraries that only some rooms may name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("poem", &["api", "sandbox"]),
    ("poem_openapi", &["api"]),
    ("sea_orm", &["store"]),
    ("sqlx", &["store"]),
    ("rusqlite", &["store"]),
    ("octocrab", &["github"]),
    ("neo4rs", &["graph"]),
    ("prometheus", &["telemetry"]),
    ("opentelemetry", &["telemetry"]),
    ("opentelemetry_sdk", &["telemetry"]),
    ("opentelemetry_proto", &["telemetry"]),
    ("tracing_opentelemetry", &["telemetry"]),
    ("jsonwebtoken", &["accounts"]),
    ("clap", &["cli", "config"]),
    ("dotenvy", &["config"]),
    ("anyhow", &["cli", "main", "run"]),
];

#[test]
fn rooms_import_downward_only() {
    let allowed: BTreeMap<_, BTreeSet<_>> =
        MAY_IMPORT.iter().map(|(room, rooms)| (*room, rooms.iter().copied().collect())).collect();
    let mut wrong = Vec::new();
    for (room, file, text) in sources() {
        let Some(allowed) = allowed.get(room.as_str()) else {
            wrong.push(format!("{}: the room {room:?} is not in the table", file.display()));
            continue;
        };
        for used in rooms_used(&text) {
            if used != room
                && !matches!(used.as_str(), "domain" | "telemetry" | "apart")
                && !allowed.contains(used.as_str())
            {
                wrong.push(format!("{}: {room} may not import {used}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_library_is_named_in_its_rooms_only() {
    let mut wrong = Vec::new();
    for (room, file, text) in sources() {
        for (library, rooms) in ONLY_IN {
            if !rooms.contains(&room.as_str()) && text.contains(&format!("{library}::")) {
                wrong.push(format!("{}: {room} may not name {library}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_the_settings_read_the_environment() {
    for (room, file, text) in sources() {
        let reads = text.contains("env::var") || text.contains("env::vars");
        assert!(!reads || room == "config", "{} reads the environment", file.display());
    }
}

#[test]
fn every_file_opens_with_what_it_is_for() {
    for (_, file, text) in sources() {
        assert!(text.starts_with("//!"), "{} does not open with a module doc", file.display());
    }
}

/// Room, file and text of every source file but those that hold only tests.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() > 20, "the sources were not found");
    files
        .into_iter()
        .filter(|file| *file != root.join("lib.rs") && !holds_tests(file))
        .map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            let inside = file.strip_prefix(&root).unwrap();
            let room = inside.iter().next().unwrap().to_string_lossy().trim_end_matches(".rs").to_owned();
            (room, inside.to_owned(), text)
        })
        .collect()
}

fn holds_tests(file: &Path) -> bool {
    let parts: Vec<_> = file.iter().map(|part| part.to_string_lossy()).collect();
    parts.iter().any(|part| part == "tests" || part.ends_with("tests.rs"))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
}

/// The rooms named by `crate::room` and by `use crate::{room, other::x}`; doc links do not count.
fn rooms_used(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut rooms = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        match rest.strip_prefix('{') {
            None => rooms.extend(first_word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            rooms.extend(first_word(item.trim()));
                            item.clear();
                            continue;
                        }
                        _ => {}
                    }
                    item.push(c);
                }
                rooms.extend(first_word(item.trim()));
            }
        }
    }
    rooms
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
    (!word.is_empty() && word != "self").then_some(word)
}
