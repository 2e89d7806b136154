//! What a pull request changes: the words tests describe it with, and the rows GitHub lists it as.

use std::collections::BTreeMap;

use super::{patch, world::digest};

/// Above either limit GitHub lists a file without its patch: lines and bytes of one file's diff.
const MAX_FILE_LINES: u64 = 20_000;
const MAX_FILE_BYTES: usize = 500_000;

/// What happened to one file, from the merge base to head.
#[derive(Debug, Clone)]
pub struct Change {
    pub from: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
    pub shown: Shown,
}

/// How GitHub shows a change.
#[derive(Debug, Clone)]
pub enum Shown {
    Text,
    Binary,
    TooLarge,
    Raw(String),
}

/// One entry of a pull request's file list.
#[derive(Debug, Clone)]
pub struct Row {
    pub path: String,
    pub previous: Option<String>,
    pub status: &'static str,
    pub additions: u64,
    pub deletions: u64,
    pub patch: Option<String>,
    pub sha: String,
}

impl Change {
    pub fn row(&self, path: &str) -> Row {
        let (old, new) = (self.old.as_deref(), self.new.as_deref());
        let status = match (&self.from, old, new) {
            (Some(_), ..) => "renamed",
            (None, None, _) => "added",
            (None, Some(_), None) => "removed",
            (None, Some(_), Some(_)) => "modified",
        };
        let (additions, deletions, patch) = match &self.shown {
            Shown::Binary => (0, 0, None),
            Shown::TooLarge => (MAX_FILE_LINES + 1, 0, None),
            Shown::Raw(patch) => {
                let (additions, deletions) = patch::count(patch);
                (additions, deletions, Some(patch.clone()))
            }
            Shown::Text => {
                let patch = patch::patch(old.unwrap_or_default(), new.unwrap_or_default());
                let (additions, deletions) = patch.as_deref().map_or((0, 0), patch::count);
                let fits = |patch: &String| additions + deletions <= MAX_FILE_LINES && patch.len() <= MAX_FILE_BYTES;
                (additions, deletions, patch.filter(fits))
            }
        };
        let sha = digest(new.or(old).unwrap_or_default().as_bytes());
        Row { path: path.to_owned(), previous: self.from.clone(), status, additions, deletions, patch, sha }
    }
}

/// A set of file changes being described. Later words about a file replace earlier ones.
#[derive(Debug, Default)]
pub struct Files(pub(super) Vec<(String, Option<Change>)>);

impl Files {
    /// A new file.
    pub fn adds(self, path: &str, text: &str) -> Self {
        self.put(path, Change { from: None, old: None, new: Some(text.to_owned()), shown: Shown::Text })
    }

    /// An existing file gets another text. It need not be on the base branch yet: it is put there.
    pub fn modifies(self, path: &str, old: &str, new: &str) -> Self {
        let (old, new) = (Some(old.to_owned()), Some(new.to_owned()));
        self.put(path, Change { from: None, old, new, shown: Shown::Text })
    }

    /// A file goes.
    pub fn removes(self, path: &str, old: &str) -> Self {
        self.put(path, Change { from: None, old: Some(old.to_owned()), new: None, shown: Shown::Text })
    }

    /// A file moves unchanged: status `renamed`, 0 changes, no patch.
    pub fn renames(self, from: &str, to: &str) -> Self {
        let text = "moved without a change\n";
        self.renames_and_modifies(from, to, text, text)
    }

    /// A file moves and changes.
    pub fn renames_and_modifies(self, from: &str, to: &str, old: &str, new: &str) -> Self {
        let (old, new) = (Some(old.to_owned()), Some(new.to_owned()));
        self.put(to, Change { from: Some(from.to_owned()), old, new, shown: Shown::Text })
    }

    /// A binary file changes: 0 changes, no patch.
    pub fn binary(self, path: &str) -> Self {
        let (old, new) = (Some("\0old".to_owned()), Some("\0new".to_owned()));
        self.put(path, Change { from: None, old, new, shown: Shown::Binary })
    }

    /// A file too large for GitHub to show: many changes, no patch.
    pub fn too_large(self, path: &str) -> Self {
        let (old, new) = (Some(String::new()), Some("large\n".to_owned()));
        self.put(path, Change { from: None, old, new, shown: Shown::TooLarge })
    }

    /// A modified file with exactly this `patch` field, however odd.
    pub fn raw_patch(self, path: &str, patch: &str) -> Self {
        let (old, new) = (Some("unknown\n".to_owned()), Some("unknown too\n".to_owned()));
        self.put(path, Change { from: None, old, new, shown: Shown::Raw(patch.to_owned()) })
    }

    /// A file is as on the base branch again: it leaves the pull request.
    pub fn reverts(mut self, path: &str) -> Self {
        self.0.push((path.to_owned(), None));
        self
    }

    fn put(mut self, path: &str, change: Change) -> Self {
        self.0.push((path.to_owned(), Some(change)));
        self
    }

    /// Lays these changes over `changes`, which are relative to the merge base and stay so.
    pub(super) fn apply(self, changes: &mut BTreeMap<String, Change>) {
        for (path, change) in self.0 {
            let before = changes.remove(&path);
            let Some(mut change) = change else { continue };
            if let Some(before) = before {
                change.old = before.old;
                change.from = change.from.or(before.from);
            }
            if change.old.is_some() || change.new.is_some() {
                changes.insert(path, change);
            }
        }
    }
}

/// A pull request being described: see [`super::Sandbox::open_pull`].
#[derive(Debug)]
pub struct NewPull {
    pub(super) title: String,
    pub(super) body: Option<String>,
    pub(super) author: Option<String>,
    pub(super) base: Option<String>,
    pub(super) branch: Option<String>,
    pub(super) draft: bool,
    pub(super) fork: bool,
    pub(super) fork_gone: bool,
    pub(super) files: Files,
}

impl Default for NewPull {
    fn default() -> Self {
        Self {
            title: "Improve something".to_owned(),
            body: None,
            author: None,
            base: None,
            branch: None,
            draft: false,
            fork: false,
            fork_gone: false,
            files: Files::default(),
        }
    }
}

/// The words of [`Files`], said about a pull request.
macro_rules! as_files {
    ($($(#[$doc:meta])* $word:ident($($arg:ident),*);)*) => {
        impl NewPull {
            $($(#[$doc])* pub fn $word(mut self, $($arg: &str),*) -> Self {
                self.files = self.files.$word($($arg),*);
                self
            })*
        }
    };
}

as_files! {
    /// See [`Files::adds`].
    adds(path, text);
    /// See [`Files::modifies`].
    modifies(path, old, new);
    /// See [`Files::removes`].
    removes(path, old);
    /// See [`Files::renames`].
    renames(from, to);
    /// See [`Files::renames_and_modifies`].
    renames_and_modifies(from, to, old, new);
    /// See [`Files::binary`].
    binary(path);
    /// See [`Files::too_large`].
    too_large(path);
    /// See [`Files::raw_patch`].
    raw_patch(path, patch);
}

impl NewPull {
    /// The title; `Improve something` if none is given.
    pub fn title(mut self, title: &str) -> Self {
        self.title = title.to_owned();
        self
    }

    /// The description; GitHub's null if none is given.
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// Who opens it; `sam` if nobody is named. Not known yet: becomes a user.
    pub fn author(mut self, login: &str) -> Self {
        self.author = Some(login.to_owned());
        self
    }

    /// The base branch; the default branch if none is given.
    pub fn base(mut self, branch: &str) -> Self {
        self.base = Some(branch.to_owned());
        self
    }

    /// The head branch.
    pub fn branch(mut self, branch: &str) -> Self {
        self.branch = Some(branch.to_owned());
        self
    }

    /// Opened as a draft.
    pub fn draft(mut self) -> Self {
        self.draft = true;
        self
    }

    /// The head branch is in the author's fork.
    pub fn from_fork(mut self) -> Self {
        self.fork = true;
        self
    }

    /// The head branch was in a fork that is gone: `head.repo` is null.
    pub fn from_deleted_fork(mut self) -> Self {
        self.fork_gone = true;
        self
    }
}
