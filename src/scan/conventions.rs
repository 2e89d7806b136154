//! What settings state about how code is written, as short sentences.

use serde_json::Value;

use super::{
    draft::{Draft, Source, at, string},
    project::{File, Project, file_name},
};

/// Files that by being there say what is used; `*` at the end stands for any ending.
const TOOLS: &[(&str, &str)] = &[
    ("rustfmt.toml", "rustfmt"),
    (".rustfmt.toml", "rustfmt"),
    ("clippy.toml", "Clippy"),
    (".clippy.toml", "Clippy"),
    ("deny.toml", "cargo-deny"),
    (".editorconfig", "EditorConfig"),
    (".prettierrc*", "Prettier"),
    ("prettier.config.*", "Prettier"),
    (".eslintrc*", "ESLint"),
    ("eslint.config.*", "ESLint"),
    ("biome.json*", "Biome"),
    (".stylelintrc*", "Stylelint"),
    ("commitlint.config.*", "Conventional Commits (commitlint)"),
    (".commitlintrc*", "Conventional Commits (commitlint)"),
    (".pre-commit-config.yaml", "pre-commit"),
    ("ruff.toml", "Ruff"),
    (".ruff.toml", "Ruff"),
    ("mypy.ini", "mypy"),
    (".flake8", "Flake8"),
    (".pylintrc", "Pylint"),
    ("pyrightconfig.json", "Pyright"),
    (".golangci.*", "golangci-lint"),
    (".rubocop.yml", "RuboCop"),
    ("phpcs.xml*", "PHP_CodeSniffer"),
    ("phpstan.neon*", "PHPStan"),
    ("psalm.xml", "Psalm"),
    (".php-cs-fixer*", "PHP CS Fixer"),
    (".clang-format", "clang-format"),
    (".clang-tidy", "clang-tidy"),
    ("checkstyle.xml", "Checkstyle"),
    ("detekt.yml", "detekt"),
    (".markdownlint.json", "markdownlint"),
];

/// Files that hold a version and nothing else.
const VERSIONS: &[(&str, &str)] = &[
    (".nvmrc", "Node.js"),
    (".node-version", "Node.js"),
    (".python-version", "Python"),
    (".ruby-version", "Ruby"),
    (".java-version", "Java"),
    ("rust-toolchain", "Rust toolchain"),
];

pub(super) fn learn(project: &Project<'_>, draft: &mut Draft) {
    for path in project.paths() {
        let name = file_name(path);
        for (_, tool) in TOOLS.iter().filter(|(file, _)| is_called(name, file)) {
            draft.conventions.add(tool);
        }
    }
    for file in project.files(|name| VERSIONS.iter().any(|(file, _)| *file == name)) {
        let name = file_name(file.path);
        let version = file.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let plain = |version: &&str| version.len() <= 40 && !version.contains(['=', '[', ' ']);
        if let (Some(version), Some((_, tool))) =
            (version.filter(plain), VERSIONS.iter().find(|(file, _)| *file == name))
        {
            draft.conventions.add(format!("{tool} {}", version.trim_start_matches('v')));
        }
    }
    for file in project.files(|_| true) {
        match file_name(file.path) {
            "rustfmt.toml" | ".rustfmt.toml" => width(draft, &file, &["max_width"]),
            "ruff.toml" | ".ruff.toml" => width(draft, &file, &["line-length"]),
            "rust-toolchain.toml" => toolchain(draft, &file),
            "pyproject.toml" => python(draft, &file),
            "setup.cfg" | "tox.ini" | "mypy.ini" | ".flake8" => ini(draft, &file),
            "tsconfig.json" | "tsconfig.base.json" => typescript(draft, &file),
            ".prettierrc" | ".prettierrc.json" | ".prettierrc.yml" | ".prettierrc.yaml" => prettier(draft, &file),
            "package.json" => package(draft, &file),
            ".editorconfig" if file.folder.is_empty() => editor(draft, &file),
            ".clang-format" => clang(draft, &file),
            ".pre-commit-config.yaml" => {
                if file.text.contains("conventional-pre-commit") || file.text.contains("commitizen") {
                    draft.conventions.add("Conventional Commits");
                }
                draft.command(Source::Usual, "pre-commit run --all-files");
            }
            "phpstan.neon" | "phpstan.neon.dist" => level(draft, &file),
            _ => {}
        }
    }
}

fn is_called(name: &str, file: &str) -> bool {
    match file.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == file,
    }
}

fn width(draft: &mut Draft, file: &File<'_>, keys: &[&str]) {
    let Some(table) = draft.toml(file) else { return };
    add_width(draft, at(&table, keys).and_then(toml::Value::as_integer));
}

fn add_width(draft: &mut Draft, width: Option<i64>) {
    if let Some(width) = width.filter(|width| (40..=400).contains(width)) {
        draft.conventions.add(format!("line width {width}"));
    }
}

fn toolchain(draft: &mut Draft, file: &File<'_>) {
    let Some(table) = draft.toml(file) else { return };
    if let Some(channel) = at(&table, &["toolchain", "channel"]).and_then(toml::Value::as_str) {
        draft.conventions.add(format!("Rust toolchain {channel}"));
    }
}

fn python(draft: &mut Draft, file: &File<'_>) {
    // Whether it can be read at all was said when its packages were looked for.
    let Ok(table) = super::text::toml(file.text) else { return };
    let tools = [
        ("ruff", "Ruff"),
        ("black", "Black"),
        ("isort", "isort"),
        ("mypy", "mypy"),
        ("pyright", "Pyright"),
        ("pylint", "Pylint"),
        ("commitizen", "Conventional Commits (commitizen)"),
    ];
    for (key, tool) in tools {
        if at(&table, &["tool", key]).is_some() {
            draft.conventions.add(tool);
        }
    }
    for path in [&["tool", "ruff", "line-length"], &["tool", "black", "line-length"]] {
        add_width(draft, at(&table, path).and_then(toml::Value::as_integer));
    }
    if at(&table, &["tool", "mypy", "strict"]).and_then(toml::Value::as_bool) == Some(true) {
        draft.conventions.add("mypy in strict mode");
    }
}

/// Sections of an INI file that belong to a linter.
fn ini(draft: &mut Draft, file: &File<'_>) {
    let mut section = "";
    for line in file.text.lines().map(str::trim).take(5_000) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            match name {
                "flake8" => draft.conventions.add("Flake8"),
                "mypy" => draft.conventions.add("mypy"),
                "pycodestyle" => draft.conventions.add("pycodestyle"),
                _ => {}
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| matches!(section, "flake8" | "pycodestyle"))
        {
            if matches!(key.trim(), "max-line-length" | "max_line_length") {
                add_width(draft, value.trim().parse().ok());
            }
        } else if section == "mypy" && line.replace(' ', "").eq_ignore_ascii_case("strict=true") {
            draft.conventions.add("mypy in strict mode");
        }
    }
}

fn typescript(draft: &mut Draft, file: &File<'_>) {
    let Some(read) = draft.json(file) else { return };
    if read.get("compilerOptions").and_then(|options| options.get("strict")).and_then(Value::as_bool) == Some(true) {
        draft.conventions.add("TypeScript in strict mode");
    }
}

fn prettier(draft: &mut Draft, file: &File<'_>) {
    // YAML holds JSON too.
    let Some(read) = draft.yaml(file) else { return };
    prettier_options(draft, &read);
}

fn prettier_options(draft: &mut Draft, read: &Value) {
    add_width(draft, read.get("printWidth").and_then(Value::as_i64));
    let flag = |key: &str| read.get(key).and_then(Value::as_bool);
    if flag("semi") == Some(false) {
        draft.conventions.add("JavaScript without semicolons");
    }
    if flag("singleQuote") == Some(true) {
        draft.conventions.add("JavaScript in single quotes");
    }
}

fn package(draft: &mut Draft, file: &File<'_>) {
    // As for `pyproject.toml`.
    let Ok(read) = super::text::json(file.text) else { return };
    let sections = [
        ("eslintConfig", "ESLint"),
        ("prettier", "Prettier"),
        ("commitlint", "Conventional Commits (commitlint)"),
        ("husky", "Husky"),
        ("lint-staged", "lint-staged"),
    ];
    for (key, tool) in sections {
        if read.get(key).is_some() {
            draft.conventions.add(tool);
        }
    }
    if let Some(options) = read.get("prettier") {
        prettier_options(draft, options);
    }
    let development = read.get("devDependencies");
    for (key, tool) in [("husky", "Husky"), ("@biomejs/biome", "Biome"), ("semantic-release", "semantic-release")] {
        if development.is_some_and(|list| list.get(key).is_some()) {
            draft.conventions.add(tool);
        }
    }
    if let Some(manager) = string(&read, &["packageManager"]) {
        draft.conventions.add(manager.split('+').next().unwrap_or(manager));
    }
}

/// The part of `.editorconfig` that is about all files.
fn editor(draft: &mut Draft, file: &File<'_>) {
    let mut everywhere = false;
    let (mut style, mut size) = (None, None);
    for line in file.text.lines().map(str::trim).take(1_000) {
        if line.starts_with('[') {
            everywhere = line == "[*]";
        } else if let Some((key, value)) = line.split_once('=').filter(|_| everywhere) {
            let value = value.trim();
            match key.trim().to_ascii_lowercase().as_str() {
                "indent_style" => style = Some(value.to_ascii_lowercase()),
                "indent_size" => size = value.parse::<u8>().ok(),
                "max_line_length" => add_width(draft, value.parse().ok()),
                _ => {}
            }
        }
    }
    match (style.as_deref(), size) {
        (Some("tab"), _) => draft.conventions.add("indented by tabs"),
        (Some("space"), Some(size)) => draft.conventions.add(format!("indented by {size} spaces")),
        _ => {}
    }
}

fn clang(draft: &mut Draft, file: &File<'_>) {
    for line in file.text.lines().take(500) {
        let Some((key, value)) = line.split_once(':') else { continue };
        match key.trim() {
            "BasedOnStyle" => draft.conventions.add(format!("clang-format based on {}", value.trim())),
            "ColumnLimit" => add_width(draft, value.trim().parse().ok()),
            _ => {}
        }
    }
}

fn level(draft: &mut Draft, file: &File<'_>) {
    let level = file.text.lines().find_map(|line| line.trim().strip_prefix("level:"));
    if let Some(level) = level.map(str::trim).filter(|level| level.len() <= 4) {
        draft.conventions.add(format!("PHPStan level {level}"));
    }
}
