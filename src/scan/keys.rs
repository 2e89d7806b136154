//! Which files tell what a project is made of.

use std::cmp::Reverse;

use super::{
    MAX_KEY_FILE, MAX_KEY_FILES, ScanFile, owners,
    project::{depth, file_name},
};
use crate::domain::folders;

/// What a key file is, most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Owners,
    Manifest,
    Ci,
    Tasks,
    Settings,
    Container,
    Lock,
    Readme,
}

/// At most so many CI files are read: some projects have hundreds, and the first ones tell enough.
const MAX_CI: usize = 15;

/// Folders of other people's or made-up projects, besides [`folders::is_foreign`].
const NOT_OURS: &[&str] = &[
    "fixtures",
    "__fixtures__",
    "testdata",
    "test-data",
    "test_data",
    "third_party",
    "third-party",
    "thirdparty",
    "3rdparty",
    "bower_components",
    "site-packages",
    ".venv",
    "venv",
    "target",
    "Pods",
    "Carthage",
    ".yarn",
    "_vendor",
];

/// Folders of small projects that show something; what lies deep in them says nothing of the project itself.
const SHOWN: &[&str] = &["example", "examples", "sample", "samples", "demo", "demos", "template", "templates"];

/// Whether the file at `path` is vendored, generated, made up for tests, or deep in an example.
pub(super) fn is_skipped(path: &str) -> bool {
    folders::is_foreign(path)
        || folders::above(path).any(|folder| NOT_OURS.contains(&folder))
        || folders::above(path).position(|folder| SHOWN.contains(&folder)).is_some_and(|at| depth(path) > at + 2)
}

/// The files whose contents [`super::analyse`] wants to see, most telling first, at most [`MAX_KEY_FILES`], none too long
/// (`longest`). Vendored and generated folders hold none.
pub fn key_files(tree: &[ScanFile]) -> Vec<String> {
    let files = tree.iter().filter(|file| (1..=longest(&file.path)).contains(&file.size));
    let mut files: Vec<_> = files
        .filter_map(|file| Some((kind(&file.path).filter(|kind| *kind < Kind::Lock)?, file.path.as_str())))
        .map(|(kind, path)| (place(kind, path), kind, path))
        .collect();
    files.sort_unstable();
    files.dedup();
    let mut ci = 0;
    files.retain(|(_, kind, _)| {
        ci += usize::from(*kind == Kind::Ci);
        *kind != Kind::Ci || ci <= MAX_CI
    });
    files.into_iter().take(MAX_KEY_FILES).map(|(_, _, path)| path.to_owned()).collect()
}

/// Most bytes of the file at `path` that are read. Of owners as many as GitHub reads: it honours them all.
pub(super) fn longest(path: &str) -> i64 {
    if owners::PLACES.contains(&path) { owners::MAX_FILE as i64 - 1 } else { MAX_KEY_FILE }
}

/// Whether a change to this file should be followed by another scan.
pub fn is_key_file(path: &str) -> bool {
    kind(path).is_some_and(|kind| kind < Kind::Readme)
}

/// All key files of a tree, most telling first, at most `most`; by path.
pub(super) fn found<'a>(paths: impl Iterator<Item = &'a str>, most: usize) -> Vec<&'a str> {
    let mut files: Vec<_> = paths.filter_map(|path| kind(path).map(|kind| (place(kind, path), kind, path))).collect();
    files.sort_unstable();
    files.truncate(most);
    let mut files: Vec<_> = files.into_iter().map(|(_, _, path)| path).collect();
    files.sort_unstable();
    files
}

/// How far from the root a file counts as: owners and CI have their own folders.
fn place(kind: Kind, path: &str) -> usize {
    if kind <= Kind::Ci && path.starts_with('.') { 0 } else { depth(path) }
}

fn kind(path: &str) -> Option<Kind> {
    if is_skipped(path) || path.len() > 1_024 {
        return None;
    }
    let name = file_name(path);
    if owners::PLACES.contains(&path) {
        return Some(Kind::Owners);
    }
    if is_ci(path) {
        return Some(Kind::Ci);
    }
    let kind = match name {
        "Cargo.toml"
        | "package.json"
        | "pyproject.toml"
        | "setup.py"
        | "setup.cfg"
        | "Pipfile"
        | "go.mod"
        | "go.work"
        | "pom.xml"
        | "build.gradle"
        | "build.gradle.kts"
        | "settings.gradle"
        | "settings.gradle.kts"
        | "libs.versions.toml"
        | "Gemfile"
        | "composer.json"
        | "CMakeLists.txt"
        | "meson.build"
        | "conanfile.txt"
        | "conanfile.py"
        | "vcpkg.json"
        | "pnpm-workspace.yaml"
        | "lerna.json"
        | "nx.json"
        | "turbo.json"
        | "deno.json"
        | "environment.yml"
        | "environment.yaml"
        | "Directory.Build.props"
        | "Directory.Packages.props"
        | "global.json" => Kind::Manifest,
        "Makefile" | "makefile" | "GNUmakefile" | "justfile" | "Justfile" | ".justfile" | "Taskfile.yml"
        | "Taskfile.yaml" | "tox.ini" | "noxfile.py" | "Rakefile" => Kind::Tasks,
        "compose.yml" | "compose.yaml" | "docker-compose.yml" | "docker-compose.yaml" => Kind::Container,
        "Cargo.lock"
        | "package-lock.json"
        | "npm-shrinkwrap.json"
        | "pnpm-lock.yaml"
        | "yarn.lock"
        | "bun.lock"
        | "bun.lockb"
        | "poetry.lock"
        | "uv.lock"
        | "pdm.lock"
        | "Pipfile.lock"
        | "go.sum"
        | "go.work.sum"
        | "Gemfile.lock"
        | "composer.lock"
        | "packages.lock.json"
        | "conan.lock"
        | "gradle.lockfile"
        | "deno.lock" => Kind::Lock,
        name if is_setting(name) => Kind::Settings,
        name if is_container(name) => Kind::Container,
        name if name.starts_with("requirements") && name.ends_with(".txt") => Kind::Manifest,
        name if [".csproj", ".fsproj", ".vbproj", ".sln", ".slnx", ".gemspec"]
            .iter()
            .any(|end| name.ends_with(end)) =>
        {
            Kind::Manifest
        }
        name if depth(path) <= 1 && name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("readme")) => {
            Kind::Readme
        }
        _ => return None,
    };
    Some(kind)
}

/// Whether CI is told what to do here.
pub(super) fn is_ci(path: &str) -> bool {
    let workflow = path
        .strip_prefix(".github/workflows/")
        .is_some_and(|name| !name.contains('/') && (name.ends_with(".yml") || name.ends_with(".yaml")));
    workflow
        || matches!(
            path,
            ".gitlab-ci.yml"
                | ".circleci/config.yml"
                | ".travis.yml"
                | "Jenkinsfile"
                | "azure-pipelines.yml"
                | ".azure-pipelines.yml"
                | "bitbucket-pipelines.yml"
                | ".drone.yml"
                | ".cirrus.yml"
                | "appveyor.yml"
                | ".appveyor.yml"
                | ".buildkite/pipeline.yml"
        )
}

/// Whether this is a recipe for a container image.
pub(super) fn is_container(name: &str) -> bool {
    matches!(name, "Dockerfile" | "Containerfile") || name.starts_with("Dockerfile.") || name.ends_with(".Dockerfile")
}

/// Whether this states how code is written.
fn is_setting(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "rustfmt.toml",
        ".rustfmt.toml",
        "clippy.toml",
        ".clippy.toml",
        "rust-toolchain.toml",
        "rust-toolchain",
        "deny.toml",
        ".editorconfig",
        "biome.json",
        "biome.jsonc",
        ".nvmrc",
        ".node-version",
        ".python-version",
        ".ruby-version",
        ".java-version",
        ".tool-versions",
        "tsconfig.json",
        "tsconfig.base.json",
        "ruff.toml",
        ".ruff.toml",
        "mypy.ini",
        ".flake8",
        "pytest.ini",
        ".pylintrc",
        "pyrightconfig.json",
        ".rubocop.yml",
        "phpcs.xml",
        "phpcs.xml.dist",
        "phpstan.neon",
        "phpstan.neon.dist",
        "psalm.xml",
        "phpunit.xml",
        "phpunit.xml.dist",
        ".php-cs-fixer.php",
        ".php-cs-fixer.dist.php",
        ".clang-format",
        ".clang-tidy",
        "checkstyle.xml",
        "detekt.yml",
        ".pre-commit-config.yaml",
        ".commitlintrc",
        ".commitlintrc.json",
        ".commitlintrc.yml",
        ".markdownlint.json",
        ".stylelintrc",
        ".stylelintrc.json",
        ".prettierrc",
        ".rspec",
    ];
    const STARTS: &[&str] =
        &[".prettierrc.", "prettier.config.", ".eslintrc", "eslint.config.", "commitlint.config.", ".golangci."];
    NAMES.contains(&name) || STARTS.iter().any(|start| name.starts_with(start))
}

/// Whether a file counts in the shares of languages: neither vendored nor generated nor minified nor documentation.
pub(super) fn is_own_code(path: &str) -> bool {
    const MADE: &[&str] = &[
        ".min.js",
        ".min.css",
        ".bundle.js",
        ".pb.go",
        ".pb.cc",
        ".pb.h",
        "_pb2.py",
        "_pb2_grpc.py",
        ".g.dart",
        ".freezed.dart",
        ".designer.cs",
        ".g.cs",
        ".generated.cs",
        ".generated.ts",
        ".generated.go",
        "-min.js",
        ".pb.ts",
        ".d.ts",
        "_generated.go",
        "zz_generated.deepcopy.go",
        ".pnp.cjs",
        ".pnp.loader.mjs",
        "gradlew",
        "gradlew.bat",
        "mvnw",
        "mvnw.cmd",
    ];
    let documentation = folders::above(path).next().is_some_and(|top| {
        ["docs", "doc", "documentation", "examples", "samples", "demos"]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(top))
    });
    let name = file_name(path).to_ascii_lowercase();
    !documentation && !is_skipped(path) && !MADE.iter().any(|end| name.ends_with(end))
}

/// Folders at the top with how many files each holds, most first.
pub(super) fn layout(tree: &[ScanFile]) -> Vec<(&str, usize)> {
    let mut counts = std::collections::BTreeMap::<&str, usize>::new();
    for file in tree.iter().filter(|file| !folders::is_foreign(&file.path)) {
        if let Some((folder, _)) = file.path.split_once('/') {
            *counts.entry(folder).or_default() += 1;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(folder, files)| (Reverse(*files), *folder));
    counts
}
