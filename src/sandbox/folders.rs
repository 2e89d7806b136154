//! git's view of a commit's files: folders inside folders, each with a name that says what it holds.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use sha2::{Digest, Sha256};

use super::world::{Mode, Tree, World};

/// The folders of one tree. Made once for each, because a large tree has many.
#[derive(Debug)]
pub struct Folders {
    of: Arc<Tree>,
    /// git's names of the folders, by path with a final slash; the root is the empty path.
    names: BTreeMap<String, String>,
    /// The same the other way round.
    paths: BTreeMap<String, String>,
}

impl World {
    /// The folder that a reference or the name of a tree means: the name to show, its tree's folders, its path.
    pub fn folder(&mut self, repo: i64, reference: &str) -> Option<(String, Arc<Folders>, String)> {
        let shown = self.repo(repo);
        let Some(commit) = self.commit_of(shown, reference) else {
            let known = shown.folders.values();
            return known
                .filter_map(|folders| Some((folders, folders.paths.get(reference)?)))
                .map(|(folders, path)| (reference.to_owned(), folders.clone(), path.clone()))
                .next();
        };
        let tree = shown.trees.get(&commit)?.clone();
        // A story's beginning may still add files to a commit.
        let known = shown.folders.get(&commit).filter(|folders| Arc::ptr_eq(&folders.of, &tree)).cloned();
        let folders = known.unwrap_or_else(|| Arc::new(Folders::new(tree)));
        self.repo_mut(repo).folders.insert(commit.clone(), folders.clone());
        Some((commit, folders, String::new()))
    }
}

impl Folders {
    fn new(of: Arc<Tree>) -> Self {
        let mut all = Self { of, names: BTreeMap::new(), paths: BTreeMap::new() };
        let tree = all.of.clone();
        // The folders that are open, the root first: paths and what is known of their contents.
        let mut open = vec![(String::new(), Sha256::new())];
        for (path, file) in tree.iter() {
            while open.last().is_some_and(|(folder, _)| !path.starts_with(folder.as_str())) {
                all.close(&mut open);
            }
            let known = open.last().map_or(0, |(folder, _)| folder.len());
            for (at, _) in path[known..].match_indices('/') {
                open.push((path[..=known + at].to_owned(), Sha256::new()));
            }
            if let Some((_, contents)) = open.last_mut() {
                contents.update(format!("{:?} {path} {}\n", file.mode, file.sha));
            }
        }
        while !open.is_empty() {
            all.close(&mut open);
        }
        all
    }

    fn close(&mut self, open: &mut Vec<(String, Sha256)>) {
        let Some((path, contents)) = open.pop() else { return };
        let mut name = hex::encode(contents.finalize());
        name.truncate(40);
        if let Some((_, parent)) = open.last_mut() {
            parent.update(format!("tree {path} {name}\n"));
        }
        self.paths.insert(name.clone(), path.clone());
        self.names.insert(path, name);
    }

    /// The entries of a folder as JSON, and whether some were left out. `recursive`: those of its folders, too, up to so
    /// many in all.
    pub fn list(&self, folder: &str, recursive: Option<usize>, url: &str) -> (Vec<String>, bool) {
        let mut entries = Vec::new();
        let mut shown = folder.to_owned();
        let mut after = Bound::Included(folder.to_owned());
        while let Some((path, file)) = self.of.range((after, Bound::Unbounded)).next() {
            let Some(inside) = path.strip_prefix(folder) else { break };
            while shown.len() > folder.len() && !path.starts_with(&shown) {
                shown.truncate(shown[..shown.len() - 1].rfind('/').map_or(0, |at| at + 1));
            }
            let below = &path[shown.len()..];
            after = Bound::Excluded(path.clone());
            if let Some(slash) = below.find('/') {
                shown.push_str(&below[..=slash]);
                let name = self.names.get(&shown).map_or("", String::as_str);
                let relative = &shown[folder.len()..shown.len() - 1];
                entries.push(entry(relative, "040000", "tree", name, None, url));
                after = match recursive {
                    Some(_) => Bound::Included(path.clone()),
                    // The first path behind everything in there.
                    None => Bound::Included(format!("{}0", &shown[..shown.len() - 1])),
                };
            } else {
                let (mode, kind) = match file.mode {
                    Mode::Plain => ("100644", "blob"),
                    Mode::Executable => ("100755", "blob"),
                    Mode::Link => ("120000", "blob"),
                    Mode::Submodule => ("160000", "commit"),
                };
                let size = (kind == "blob").then_some(file.bytes.len());
                entries.push(entry(inside, mode, kind, &file.sha, size, url));
            }
            if recursive.is_some_and(|most| entries.len() > most) {
                entries.pop();
                return (entries, true);
            }
        }
        (entries, false)
    }
}

fn entry(path: &str, mode: &str, kind: &str, sha: &str, size: Option<usize>, url: &str) -> String {
    let path = serde_json::Value::from(path);
    let size = size.map(|size| format!(r#","size":{size}"#)).unwrap_or_default();
    let link = match kind {
        // GitHub gives no address for what is in another repository.
        "commit" => String::new(),
        kind => format!(r#","url":"{url}/{kind}s/{sha}""#),
    };
    format!(r#"{{"path":{path},"mode":"{mode}","type":"{kind}","sha":"{sha}"{size}{link}}}"#)
}
