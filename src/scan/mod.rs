//! What a project is made of, told from its tree and its key files alone. Pure: somebody else fetches them.
//!
//! Nothing a project writes can make this fail or take long: files that cannot be read are troubles, and every list, every
//! string and every parser has its bound. No file of a project is ever run.

use chrono::{DateTime, Utc};

use self::{draft::Draft, project::Project};
use crate::domain::profile::{Profile, Statistics};

mod ci;
mod commands;
mod conventions;
mod cpp;
mod docker;
mod dotnet;
mod draft;
mod go;
mod javascript;
mod jvm;
mod keys;
pub mod owners;
mod php;
mod project;
mod python;
mod ruby;
mod rust;
mod shares;
mod tasks;
mod text;

pub use keys::{is_key_file, key_files};

/// A file of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanFile {
    /// From the repository's root.
    pub path: String,
    /// Bytes.
    pub size: i64,
}

/// Longest key file that is read, in bytes. Only CODEOWNERS may be longer ([`owners::MAX_FILE`]).
pub const MAX_KEY_FILE: i64 = 256 * 1024;

/// Most key files that are read.
pub const MAX_KEY_FILES: usize = 60;

/// What was read of a repository.
#[derive(Debug, Clone)]
pub struct Reading {
    /// Every file of the tree.
    pub tree: Vec<ScanFile>,
    /// Path and text of the key files that could be read.
    pub texts: Vec<(String, String)>,
    /// What could not be read, in words for people.
    pub troubles: Vec<String>,
    /// What GitHub counts.
    pub statistics: Option<Statistics>,
    /// The commit.
    pub commit: String,
    /// When.
    pub scanned_at: DateTime<Utc>,
}

/// The profile. A file that cannot be parsed is a trouble, not an error.
pub fn analyse(reading: &Reading) -> Profile {
    let project = Project::new(reading);
    let mut draft = Draft::default();
    for trouble in &reading.troubles {
        draft.trouble(trouble);
    }
    for learn in [
        ci::learn,
        tasks::learn,
        rust::learn,
        python::learn,
        javascript::learn,
        go::learn,
        jvm::learn,
        ruby::learn,
        php::learn,
        dotnet::learn,
        cpp::learn,
        docker::learn,
        conventions::learn,
    ] {
        learn(&project, &mut draft);
    }
    let code_owners = code_owners(reading, &project, &mut draft);
    let layout = keys::layout(&reading.tree).into_iter().take(draft::MAX_ENTRIES).map(|(folder, files)| {
        format!("{} ({files} {})", text::shown(folder), if files == 1 { "file" } else { "files" })
    });
    Profile {
        languages: shares::shares(&reading.tree),
        commands: draft.commands(),
        packages: draft.packages(),
        troubles: draft.troubles(),
        frameworks: draft.frameworks.finish(),
        package_managers: draft.managers.finish(),
        ci: draft.ci.finish(),
        entry_points: draft.entries.finish(),
        key_files: keys::found(project.paths(), draft::MAX_ENTRIES).into_iter().map(text::shown).collect(),
        layout: layout.collect(),
        conventions: draft.conventions.finish(),
        code_owners,
        statistics: reading.statistics.clone(),
        commit: reading.commit.clone(),
        scanned_at: reading.scanned_at,
    }
}

/// Whether anybody may own files. Then [`Profile::code_owners`] is missing only if the file could not be read.
pub fn has_owners(tree: &[ScanFile]) -> bool {
    tree.iter().any(|file| owners::PLACES.contains(&file.path.as_str()))
}

/// The text of CODEOWNERS, from the first of its places: GitHub never looks at the others.
fn code_owners(reading: &Reading, project: &Project<'_>, draft: &mut Draft) -> Option<String> {
    let path = owners::PLACES.into_iter().find(|path| project.has(path))?;
    let size = reading.tree.iter().find(|file| file.path == path).map_or(0, |file| file.size);
    if size > keys::longest(path) {
        draft.trouble(&format!("{path}: too long, GitHub ignores it"));
    }
    if !(1..=keys::longest(path)).contains(&size) {
        return Some(String::new());
    }
    let text = project.text(path);
    if text.is_none() {
        draft.trouble(&format!("{path}: could not be read"));
    }
    text.map(str::to_owned)
}

#[cfg(test)]
mod tests;
