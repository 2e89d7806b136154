//! What a project scan learned.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// What a repository is made of, as its tree and its key files state it. Lists are sorted and without repetition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Languages by bytes of code, largest first.
    pub languages: Vec<LanguageShare>,
    /// Frameworks that the manifests name, e.g. `Django`, `React`.
    pub frameworks: Vec<String>,
    /// E.g. `cargo`, `pnpm`.
    pub package_managers: Vec<String>,
    /// How the project is built, tested and linted.
    pub commands: Commands,
    /// E.g. `GitHub Actions: ci.yml`.
    pub ci: Vec<String>,
    /// Where programs start: paths, or `path: name` where a manifest names them.
    pub entry_points: Vec<String>,
    /// Manifests, lock files, CI, containers, readmes, owners, lint settings that were found.
    pub key_files: Vec<String>,
    /// Top-level folders with how many files they hold, most first, e.g. `src (120 files)`.
    pub layout: Vec<String>,
    /// What the settings state about how code is written, e.g. `Rust edition 2024`, `line width 120`.
    pub conventions: Vec<String>,
    /// The packages of a monorepo, or the one package; by path.
    pub packages: Vec<Package>,
    /// The text of CODEOWNERS, from whichever of its places GitHub reads first.
    pub code_owners: Option<String>,
    /// What could not be read, in words for people.
    pub troubles: Vec<String>,
    /// What GitHub counts.
    pub statistics: Option<Statistics>,
    /// The commit that was read.
    pub commit: String,
    /// When.
    pub scanned_at: DateTime<Utc>,
}

/// A language and how much of the code it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LanguageShare {
    /// Its name, as GitHub writes it.
    pub language: String,
    /// From 0 to 1.
    pub share: f64,
}

/// Commands, in the order of how much they are to be trusted: what CI runs first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commands {
    /// Builds it.
    pub build: Vec<String>,
    /// Runs its tests.
    pub test: Vec<String>,
    /// Judges its style.
    pub lint: Vec<String>,
}

/// One package of a repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its folder; empty for the root.
    pub path: String,
    /// Its name, where the manifest states one.
    pub name: Option<String>,
    /// Whose package it is, e.g. `cargo`, `npm`, `maven`.
    pub ecosystem: String,
}

/// What GitHub counts about a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statistics {
    /// Stars.
    pub stars: i64,
    /// Forks.
    pub forks: i64,
    /// Open issues.
    pub open_issues: i64,
    /// Open pull requests.
    pub open_pulls: i64,
    /// Merged pull requests.
    pub merged_pulls: i64,
    /// Kilobytes on GitHub's disk.
    pub disk_kilobytes: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}
