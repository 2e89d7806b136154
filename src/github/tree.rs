//! Every file of a repository, whatever GitHub makes of asking for them all at once.
//!
//! The answer is the whole set or an error, never a part: files that are missing from it will be taken for deleted.

use std::borrow::Cow;

use serde::Deserialize;

use super::{
    GitHubError, Tree,
    bot::Bot,
    call::{Call, escape},
};
use crate::domain::{RepoName, graph::TreeFile};

/// Longest listing read, in bytes. GitHub documents 100,000 entries and 7 MB for a recursive listing; what it counts
/// there is not what it sends: an entry is about 300 bytes of JSON.
const LONGEST: usize = 64 * 1024 * 1024;
/// Requests spent on one tree.
const MOST_CALLS: usize = 1_000;
/// Files in one tree.
const MOST_FILES: usize = 1_000_000;

/// A folder yet to be read.
struct Folder {
    /// Its path and a slash; empty for the root.
    prefix: String,
    sha: String,
    /// Whether to ask for everything below it, too.
    whole: bool,
}

#[derive(Deserialize)]
struct Listing<'a> {
    sha: String,
    #[serde(borrow)]
    tree: Vec<Entry<'a>>,
    #[serde(default)]
    truncated: bool,
}

/// A row. Its URLs are not read: they are most of the answer.
#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    mode: Cow<'a, str>,
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    sha: Cow<'a, str>,
    size: Option<i64>,
}

/// See [`Bot::tree`].
pub(super) async fn read(bot: &Bot<'_>, repo: &RepoName, reference: &str) -> Result<Tree, GitHubError> {
    let mut files = Vec::new();
    let mut folders = Vec::new();
    let answer = bot.call(listing(repo, reference, true).conditional()).await?;
    let root: Listing<'_> = answer.json_borrowed()?;
    let sha = root.sha.clone();
    if root.truncated {
        // By its name of now: the branch may move on meanwhile.
        folders.push(Folder { prefix: String::new(), sha: sha.clone(), whole: false });
    } else {
        sort("", root.tree, &mut files, None);
    }
    drop(answer);
    let mut calls = 1;
    while let Some(folder) = folders.pop() {
        calls += 1;
        if calls > MOST_CALLS {
            return Err(GitHubError::Protocol(format!(
                "{repo} cannot be listed in {MOST_CALLS} requests: too many large folders"
            )));
        }
        let answer = bot.call(listing(repo, &folder.sha, folder.whole)).await?;
        let part: Listing<'_> = answer.json_borrowed()?;
        match (part.truncated, folder.whole) {
            (true, true) => folders.push(Folder { whole: false, ..folder }),
            (true, false) => {
                return Err(GitHubError::Protocol(format!(
                    "the folder {}/{} has more entries than GitHub lists",
                    repo, folder.prefix
                )));
            }
            (false, whole) => {
                let below = (!whole).then_some(&mut folders);
                sort(&folder.prefix, part.tree, &mut files, below);
            }
        }
        if files.len() > MOST_FILES {
            return Err(GitHubError::Protocol(format!("{repo} has more than {MOST_FILES} files")));
        }
    }
    files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    Ok(Tree { sha, files })
}

fn listing(repo: &RepoName, reference: &str, whole: bool) -> Call {
    let recursive = if whole { "?recursive=1" } else { "" };
    let path = format!("/repos/{repo}/git/trees/{}{recursive}", escape(reference));
    Call::get(path, format!("the tree of {repo} at {reference}")).limit(LONGEST)
}

/// Puts files with files and, if they are wanted, folders with folders. The rest stays out: links (120000), submodules
/// (160000), and names that git itself would not check out.
fn sort(prefix: &str, entries: Vec<Entry<'_>>, files: &mut Vec<TreeFile>, mut folders: Option<&mut Vec<Folder>>) {
    for entry in entries {
        if !is_plain(&entry.path) {
            continue;
        }
        match (&*entry.kind, &*entry.mode, &mut folders) {
            // 100664 is in trees that were written before git knew two modes only.
            ("blob", "100644" | "100755" | "100664", _) => files.push(TreeFile {
                path: format!("{prefix}{}", entry.path),
                sha: entry.sha.into_owned(),
                size: entry.size.unwrap_or_default(),
            }),
            ("tree", _, Some(folders)) => folders.push(Folder {
                prefix: format!("{prefix}{}/", entry.path),
                sha: entry.sha.into_owned(),
                whole: true,
            }),
            _ => {}
        }
    }
}

fn is_plain(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}
