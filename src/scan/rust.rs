//! Cargo.

use super::{
    draft::{Draft, Source, at, names},
    project::{Project, file_name, folder, join, outermost, within},
};

const FRAMEWORKS: &[(&str, &str)] = &[
    ("actix-web", "Actix Web"),
    ("axum", "Axum"),
    ("poem", "Poem"),
    ("poem-openapi", "Poem"),
    ("rocket", "Rocket"),
    ("warp", "Warp"),
    ("tide", "Tide"),
    ("salvo", "Salvo"),
    ("hyper", "Hyper"),
    ("tonic", "Tonic"),
    ("tower", "Tower"),
    ("tokio", "Tokio"),
    ("async-std", "async-std"),
    ("rayon", "Rayon"),
    ("sea-orm", "SeaORM"),
    ("diesel", "Diesel"),
    ("sqlx", "SQLx"),
    ("serde", "Serde"),
    ("clap", "clap"),
    ("leptos", "Leptos"),
    ("yew", "Yew"),
    ("dioxus", "Dioxus"),
    ("tauri", "Tauri"),
    ("bevy", "Bevy"),
    ("wasm-bindgen", "wasm-bindgen"),
    ("pyo3", "PyO3"),
    ("napi", "NAPI-RS"),
    ("criterion", "Criterion"),
    ("proptest", "proptest"),
    ("ratatui", "Ratatui"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    let manifests = project.named("Cargo.toml");
    if !manifests.is_empty() {
        draft.managers.add("cargo");
    }
    for file in &manifests {
        let Some(manifest) = draft.toml(file) else { continue };
        for field in ["edition", "rust-version"] {
            let stated = at(&manifest, &["package", field]).or(at(&manifest, &["workspace", "package", field]));
            if let Some(version) = stated.and_then(toml::Value::as_str) {
                let name = if field == "edition" { "Rust edition" } else { "Rust at least" };
                draft.conventions.add(format!("{name} {version}"));
            }
        }
        for table in ["dependencies", "dev-dependencies", "build-dependencies"] {
            draft.depends_on(FRAMEWORKS, names(&manifest, &[table]));
            draft.depends_on(FRAMEWORKS, names(&manifest, &["workspace", table]));
            for target in names(&manifest, &["target"]).collect::<Vec<_>>() {
                draft.depends_on(FRAMEWORKS, names(&manifest, &["target", target, table]));
            }
        }
        for path in [&["lints"][..], &["workspace", "lints"]] {
            if at(&manifest, &[path, &["rust", "unsafe_code"]].concat()).is_some_and(forbids) {
                draft.conventions.add("unsafe Rust is forbidden");
            }
        }
        if manifest.contains_key("package") {
            let name = at(&manifest, &["package", "name"]).and_then(toml::Value::as_str);
            draft.package(file.folder, name, "cargo");
        }
        for bin in manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten().take(20) {
            let text = |key| bin.get(key).and_then(toml::Value::as_str);
            if let Some(name) = text("name") {
                let usual = format!("src/bin/{name}.rs");
                let usual = if project.has_in(file.folder, &usual) { usual.as_str() } else { "src/main.rs" };
                draft.entries.add(format!("{}: {name}", join(file.folder, text("path").unwrap_or(usual))));
            }
        }
    }
    for path in project.paths() {
        let is_main = file_name(path) == "main.rs" && project.has(&manifest_of(path));
        if is_main || folder(path).ends_with("src/bin") && path.ends_with(".rs") {
            draft.entries.add(path);
        }
    }
    for file in outermost(&manifests) {
        for command in ["cargo build", "cargo test", "cargo clippy", "cargo fmt --check"] {
            draft.command(Source::Usual, &within(file.folder, command));
        }
    }
}

/// The manifest next to the `src` that a path is in.
fn manifest_of(path: &str) -> String {
    join(path.strip_suffix("src/main.rs").unwrap_or("\0").trim_end_matches('/'), "Cargo.toml")
}

fn forbids(level: &toml::Value) -> bool {
    let level = level.get("level").unwrap_or(level);
    matches!(level.as_str(), Some("forbid" | "deny"))
}
