//! What of a tree is in the graph, and what changed between two trees.

use crate::domain::{
    folders,
    graph::{FileFact, TreeFile},
    language::language,
};

mod pack;

/// Whether the graph holds the file at `path`: nothing below `node_modules`, `.git`, `dist`, `build`, `__pycache__`, `.next`
/// or `vendor`, at any depth.
pub fn is_indexed(path: &str) -> bool {
    !folders::is_foreign(path)
}

/// The file as the graph holds it.
pub fn fact(file: &TreeFile) -> FileFact {
    FileFact { path: file.path.clone(), language: language(&file.path).map(|language| language.name), size: file.size }
}

/// The paths of a tree and what their contents were: small enough to keep (about 13 bytes a file), enough to tell what
/// changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Path and content, by path, each path once.
    entries: Vec<(String, u64)>,
}

/// What is different between a manifest and a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// New and changed.
    pub files: Vec<TreeFile>,
    /// Gone.
    pub gone: Vec<String>,
    /// Moved without a change, old name first; only where content and both names are unmistakable.
    pub moved: Vec<(String, String)>,
}

impl Manifest {
    /// Of the indexed files of a tree, in any order. Of files with one path the first counts.
    pub fn of(files: &[TreeFile]) -> Self {
        Self { entries: sorted(files).into_iter().map(|file| (file.path.clone(), digest(&file.sha))).collect() }
    }

    /// As bytes.
    pub fn pack(&self) -> Vec<u8> {
        pack::pack(&self.entries)
    }

    /// Reads [`Manifest::pack`] back; none if these bytes are of another version, damaged, or larger than any tree.
    pub fn unpack(bytes: &[u8]) -> Option<Self> {
        Some(Self { entries: pack::unpack(bytes)? })
    }

    /// From this to `files`, all of them indexed, in any order. Everything in the answer is by path.
    pub fn difference(&self, files: &[TreeFile]) -> Difference {
        let (mut changed, mut gone, mut new) = (Vec::new(), Vec::new(), Vec::new());
        let mut before = self.entries.iter().peekable();
        for file in sorted(files) {
            let content = digest(&file.sha);
            while let Some(old) = before.next_if(|(path, _)| *path < file.path) {
                gone.push(old);
            }
            match before.next_if(|(path, _)| *path == file.path) {
                Some((_, same)) if *same == content => continue,
                Some(_) => {}
                None => new.push((file, content)),
            }
            changed.push(file.clone());
        }
        gone.extend(before);
        Difference {
            files: changed,
            moved: moved(&gone, &new),
            gone: gone.into_iter().map(|(path, _)| path.clone()).collect(),
        }
    }
}

/// A content that one file had and no longer has, and that one new file has, was moved. Empty files are all alike.
fn moved(gone: &[&(String, u64)], new: &[(&TreeFile, u64)]) -> Vec<(String, String)> {
    let left = once(gone.iter().map(|(path, content)| (*content, path.as_str())));
    let new = new.iter().filter(|(file, _)| file.size > 0);
    let arrived = once(new.map(|(file, content)| (*content, file.path.as_str())));
    let mut moved: Vec<_> = left
        .into_iter()
        .filter_map(|(content, old)| {
            let at = arrived.binary_search_by_key(&content, |(content, _)| *content).ok()?;
            Some((old.to_owned(), arrived[at].1.to_owned()))
        })
        .collect();
    moved.sort_unstable();
    moved
}

/// The contents that exactly one of these files has, in order, with its name.
fn once<'a>(files: impl Iterator<Item = (u64, &'a str)>) -> Vec<(u64, &'a str)> {
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    let alone = files.chunk_by(|a, b| a.0 == b.0).filter(|same| same.len() == 1);
    alone.flatten().copied().collect()
}

fn sorted(files: &[TreeFile]) -> Vec<&TreeFile> {
    let mut files: Vec<_> = files.iter().collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files.dedup_by(|later, first| later.path == first.path);
    files
}

/// The first 64 bits of git's name for a content. A change that keeps them would go unseen until the next one: one in 2^64.
fn digest(sha: &str) -> u64 {
    sha.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_else(|| {
        // No name of git's; FNV-1a keeps different ones apart all the same.
        sha.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    })
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
