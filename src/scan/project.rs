//! The files of a project as the ecosystems look at them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reading, keys};

/// A key file with its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct File<'a> {
    /// Its folder; empty for the root.
    pub(super) folder: &'a str,
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

/// Paths and texts, without what is vendored or generated.
pub(super) struct Project<'a> {
    paths: BTreeSet<&'a str>,
    texts: BTreeMap<&'a str, &'a str>,
}

impl<'a> Project<'a> {
    pub(super) fn new(reading: &'a Reading) -> Self {
        Self {
            paths: reading.tree.iter().map(|file| file.path.as_str()).filter(|path| !keys::is_skipped(path)).collect(),
            texts: reading
                .texts
                .iter()
                .filter(|(path, text)| !keys::is_skipped(path) && text.len() as i64 <= keys::longest(path))
                .map(|(path, text)| (path.as_str(), text.as_str()))
                .collect(),
        }
    }

    /// Every path of the tree, in order.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'a str> {
        self.paths.iter().copied()
    }

    /// Whether the tree has this file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Whether `folder` has a file of this name.
    pub(super) fn has_in(&self, folder: &str, name: &str) -> bool {
        self.has(&join(folder, name))
    }

    /// Whether any folder has a file of this name.
    pub(super) fn has_anywhere(&self, name: &str) -> bool {
        self.paths().any(|path| file_name(path) == name)
    }

    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        self.texts.get(path).copied()
    }

    /// Files whose name is told by `is`, outer folders first.
    pub(super) fn files(&self, is: impl Fn(&str) -> bool) -> Vec<File<'a>> {
        let texts = self.texts.iter().filter(|(path, _)| is(file_name(path)));
        let mut files: Vec<_> = texts.map(|(path, text)| File { folder: folder(path), path, text }).collect();
        files.sort_by_key(|file| (depth(file.path), file.path));
        files
    }

    /// Files of this name, outer folders first.
    pub(super) fn named(&self, name: &str) -> Vec<File<'a>> {
        self.files(|file| file == name)
    }
}

/// Files of which none is above another, at most five: where commands are run.
pub(super) fn outermost<'a>(files: &[File<'a>]) -> Vec<File<'a>> {
    let mut outermost: Vec<File<'a>> = Vec::new();
    for file in files {
        if outermost.len() < 5 && !outermost.iter().any(|above| is_below(file.folder, above.folder)) {
            outermost.push(*file);
        }
    }
    outermost
}

fn is_below(folder: &str, above: &str) -> bool {
    above.is_empty() || folder == above || folder.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}

/// A folder and all above it, innermost first; the root is last and empty.
pub(super) fn upward(folder: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder), |folder| {
        (!folder.is_empty()).then(|| folder.rsplit_once('/').map_or("", |(above, _)| above))
    })
}

pub(super) fn join(folder: &str, name: &str) -> String {
    let name = name.strip_prefix("./").unwrap_or(name);
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A command as it is run from the root.
pub(super) fn within(folder: &str, command: &str) -> String {
    if folder.is_empty() { command.to_owned() } else { format!("cd {folder} && {command}") }
}

pub(super) fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

pub(super) fn depth(path: &str) -> usize {
    path.bytes().filter(|byte| *byte == b'/').count()
}
