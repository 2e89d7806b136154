//! The files of a pull request, and the rows GitHub leaves blank.
//!
//! Once the patches of one answer reach about 20,000 lines, GitHub lists the files after that with no patch and no
//! counts, just as it lists binary files. The same file is complete on a smaller page, so a page that may have been
//! cut that way is asked for again in smaller pieces before it is believed.

use super::{GitHubError, bot::Bot, call::Call, client::PER_PAGE, wire};
use crate::domain::{
    PrNumber, RepoName,
    pull_request::{ChangedFile, FileStatus},
};

/// GitHub lists at most 3,000 files.
const MAX_PAGES: usize = 30;
/// Page sizes to try, each a whole part of the one before.
const SIZES: [usize; 3] = [PER_PAGE, 20, 5];
/// From here on blank rows are doubted: a fifth of what GitHub cuts at (20,000 lines, 1 MB), because the file that no
/// longer fitted may have been a large one.
const MANY_LINES: usize = 4_000;
const MANY_BYTES: usize = 200_000;

/// Every page; see [`Bot::files`].
pub(super) async fn list(bot: &Bot<'_>, repo: &RepoName, number: PrNumber) -> Result<Vec<ChangedFile>, GitHubError> {
    let mut files = Vec::new();
    for page in 1..=MAX_PAGES {
        let (rows, more) = fetch(bot, repo, number, PER_PAGE, page).await?;
        if looks_cut(&rows) {
            files.extend(in_pieces(bot, repo, number, page, rows.len()).await?);
        } else {
            files.extend(rows);
        }
        if !more {
            break;
        }
    }
    Ok(files)
}

/// The `expected` rows of one full-size page, fetched in pages just small enough that none looks cut.
async fn in_pieces(
    bot: &Bot<'_>,
    repo: &RepoName,
    number: PrNumber,
    page: usize,
    expected: usize,
) -> Result<Vec<ChangedFile>, GitHubError> {
    let mut files = Vec::new();
    // Pages still to fetch, the next one last: (index into SIZES, page, rows expected).
    let mut todo = pieces(0, page, expected);
    while let Some((size, page, expected)) = todo.pop() {
        let (rows, _) = fetch(bot, repo, number, SIZES[size], page).await?;
        if looks_cut(&rows) && size + 1 < SIZES.len() {
            todo.extend(pieces(size, page, expected));
        } else {
            files.extend(rows);
        }
    }
    Ok(files)
}

/// The pages one size smaller that together hold `rows` rows of `page`, last one first.
fn pieces(size: usize, page: usize, rows: usize) -> Vec<(usize, usize, usize)> {
    let (large, small) = (SIZES[size], SIZES[size + 1]);
    let first = (page - 1) * (large / small) + 1;
    let piece = |at: usize| (size + 1, first + at, small.min(rows - at * small));
    (0..rows.div_ceil(small)).rev().map(piece).collect()
}

async fn fetch(
    bot: &Bot<'_>,
    repo: &RepoName,
    number: PrNumber,
    size: usize,
    page: usize,
) -> Result<(Vec<ChangedFile>, bool), GitHubError> {
    let path = format!("/repos/{repo}/pulls/{number}/files?per_page={size}&page={page}");
    let answer = bot.call(Call::get(path, format!("{repo}#{number}"))).await?;
    let rows: Vec<wire::File> = answer.json()?;
    let more = answer.has_next().unwrap_or(rows.len() >= size);
    Ok((rows.into_iter().map(ChangedFile::from).collect(), more))
}

/// Whether some rows may be blank because the others filled the answer.
fn looks_cut(rows: &[ChangedFile]) -> bool {
    let blank = |row: &ChangedFile| {
        row.patch.is_none() && row.changes == 0 && matches!(row.status, FileStatus::Added | FileStatus::Modified)
    };
    let patches = || rows.iter().filter_map(|row| row.patch.as_deref());
    rows.len() > 1
        && rows.iter().any(blank)
        && (patches().map(str::len).sum::<usize>() >= MANY_BYTES
            || patches().map(|patch| patch.lines().count()).sum::<usize>() >= MANY_LINES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_cover_exactly_the_rows_of_the_page_in_order() {
        let covered = |size, page, rows| {
            let mut pieces = pieces(size, page, rows);
            pieces.reverse();
            pieces
        };
        assert_eq!(covered(0, 2, 43), [(1, 6, 20), (1, 7, 20), (1, 8, 3)]);
        assert_eq!(covered(1, 6, 20), [(2, 21, 5), (2, 22, 5), (2, 23, 5), (2, 24, 5)]);
        assert_eq!(covered(1, 8, 3), [(2, 29, 3)]);
    }

    fn row(status: FileStatus, patch: Option<String>) -> ChangedFile {
        let changes = patch.as_deref().map_or(0, |patch| patch.lines().count() as u64);
        let path = "a".to_owned();
        ChangedFile { path, previous_path: None, status, additions: changes, deletions: 0, changes, patch }
    }

    #[test]
    fn blank_rows_are_doubted_only_beside_a_lot_of_patch() {
        let large = || row(FileStatus::Modified, Some("+x\n".repeat(MANY_LINES)));
        let wide = || row(FileStatus::Modified, Some("x".repeat(MANY_BYTES)));
        let small = || row(FileStatus::Modified, Some("+x\n".to_owned()));
        let blank = |status| row(status, None);

        assert!(looks_cut(&[large(), blank(FileStatus::Modified)]));
        assert!(looks_cut(&[wide(), blank(FileStatus::Added)]));
        assert!(!looks_cut(&[small(), blank(FileStatus::Modified)]), "a binary file in a small change");
        assert!(!looks_cut(&[large(), blank(FileStatus::Renamed)]), "a pure rename has no patch");
        assert!(!looks_cut(&[large(), small()]));
    }
}
