//! Which files can be read, and whether that is all of the change. Every listed file lands in exactly one class.

use crate::{
    domain::{
        diff::{DiffError, Patch},
        pull_request::{ChangedFile, FileStatus, PullRequest},
        review::Coverage,
    },
    review::rules::place::{self, Left},
};

/// Why a file was not read, or not completely.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Nobody reviews such files line by line.
    Left(Left),
    /// Binary or empty: there are no lines.
    NoText,
    /// It changed, and GitHub shows no lines: too large.
    TooLarge,
    /// GitHub says nothing changed, but its totals say otherwise somewhere: this row may have been cut short.
    Doubtful,
    /// The patch makes no sense.
    Malformed(DiffError),
    /// The patch shows fewer or more lines than GitHub counts.
    Incomplete,
}

/// A file outside [`Coverage::full`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unread {
    /// Its name at head.
    pub path: String,
    /// Why it is there.
    pub why: Why,
}

/// What can be read of a pull request.
pub(super) struct Survey<'a> {
    pub(super) coverage: Coverage,
    pub(super) unread: Vec<Unread>,
    /// For the rules.
    pub(super) readable: Vec<(&'a ChangedFile, Patch<'a>)>,
    pub(super) troubles: Vec<String>,
}

pub(super) fn survey<'a>(pull: &PullRequest, files: &'a [ChangedFile]) -> Survey<'a> {
    let listed = files.len() as u64;
    let missing = pull.changed_files.saturating_sub(listed);
    let sum = |of: fn(&ChangedFile) -> u64| files.iter().map(of).fold(0, u64::saturating_add);
    let uncounted = match missing {
        0 => (sum(|file| file.additions).abs_diff(pull.additions))
            .saturating_add(sum(|file| file.deletions).abs_diff(pull.deletions)),
        // The files that are missing hold them.
        _ => 0,
    };
    let mut survey = Survey {
        coverage: Coverage { missing, uncounted, ..Coverage::default() },
        unread: Vec::new(),
        readable: Vec::new(),
        troubles: Vec::new(),
    };
    if listed > pull.changed_files {
        survey.troubles.push(format!("GitHub listed {listed} files but counts {}.", pull.changed_files));
    }
    for file in files {
        survey.place(file, uncounted > 0);
    }
    survey
}

impl<'a> Survey<'a> {
    fn place(&mut self, file: &'a ChangedFile, doubtful: bool) {
        let why = match read(file, doubtful) {
            Ok(patch) => {
                self.coverage.full.push(file.path.clone());
                self.readable.extend(patch.map(|patch| (file, patch)));
                return;
            }
            Err(Unreadable { why, patch }) => {
                self.readable.extend(patch.map(|patch| (file, patch)));
                why
            }
        };
        let class = match why {
            Why::Left(_) | Why::NoText => &mut self.coverage.excluded,
            Why::TooLarge | Why::Doubtful | Why::Malformed(_) => &mut self.coverage.listed,
            Why::Incomplete => &mut self.coverage.partial,
        };
        class.push(file.path.clone());
        self.unread.push(Unread { path: file.path.clone(), why });
    }
}

/// Not to be read, or only in part: then with the part.
struct Unreadable<'a> {
    why: Why,
    patch: Option<Patch<'a>>,
}

/// The patch of a file to read; nothing where only the name or the mode changed.
fn read(file: &ChangedFile, doubtful: bool) -> Result<Option<Patch<'_>>, Unreadable<'_>> {
    let no = |why| Err(Unreadable { why, patch: None });
    if let Some(left) = place::left_out(&file.path) {
        return no(Why::Left(left));
    }
    let changed = file.changes > 0 || file.additions > 0 || file.deletions > 0;
    let Some(text) = file.patch.as_deref().filter(|text| !text.is_empty()) else {
        return match file.status {
            _ if changed => no(Why::TooLarge),
            _ if doubtful => no(Why::Doubtful),
            FileStatus::Renamed | FileStatus::Copied | FileStatus::Changed | FileStatus::Unchanged => Ok(None),
            FileStatus::Added | FileStatus::Removed | FileStatus::Modified => no(Why::NoText),
        };
    };
    let patch = match Patch::parse(text) {
        Ok(patch) => patch,
        Err(error) => return no(Why::Malformed(error)),
    };
    if let Some(left) = place::left_out_by_text(&file.path, &patch) {
        return no(Why::Left(left));
    }
    if patch.totals() != (file.additions, file.deletions) {
        return Err(Unreadable { why: Why::Incomplete, patch: Some(patch) });
    }
    Ok(Some(patch))
}
