//! Which lines of a patch take a review comment, by GitHub's rules.
//!
//! Right: added and context lines, by their number in the new file. Left: removed lines, by their number in the old
//! file. Both ends of a range lie in one hunk, the first strictly before the last.

use crate::domain::review::Side;

/// Where a comment wants to stand.
#[derive(Debug, Clone, Copy)]
pub struct Anchor {
    pub line: i64,
    pub side: Side,
    pub start: Option<(i64, Side)>,
}

/// GitHub's words when a line cannot take a comment.
pub const NOT_IN_DIFF: &str =
    "Pull request review thread line must be part of the diff and Pull request review thread diff hunk can't be blank";
/// GitHub's words when a range is empty or backwards.
pub const START_AFTER_END: &str = "Pull request review thread start line must precede the end line.";
/// GitHub's words when the first line of a range cannot take a comment.
pub const START_NOT_IN_DIFF: &str = "Pull request review thread start line must be part of the diff";
/// GitHub's words when a range spans hunks.
pub const TWO_HUNKS: &str = "Pull request review thread start line must be part of the same hunk as the line.";

/// Checks an anchor against a file's patch (none: binary, too large, or nothing changed).
pub fn check(patch: Option<&str>, anchor: Anchor) -> Result<(), &'static str> {
    let places = patch.map(places).unwrap_or_default();
    let find = |line, side| places.iter().position(|place| place.line == line && place.side == side);
    let end = find(anchor.line, anchor.side).ok_or(NOT_IN_DIFF)?;
    let Some((line, side)) = anchor.start else { return Ok(()) };
    if side == anchor.side && line >= anchor.line {
        return Err(START_AFTER_END);
    }
    let start = find(line, side).ok_or(START_NOT_IN_DIFF)?;
    if places[start].hunk != places[end].hunk {
        return Err(TWO_HUNKS);
    }
    if start >= end { Err(START_AFTER_END) } else { Ok(()) }
}

struct Place {
    hunk: usize,
    side: Side,
    line: i64,
}

/// Every commentable line, in the order of the patch. A hunk ends by its counts, whatever its lines look like.
fn places(patch: &str) -> Vec<Place> {
    let mut places = Vec::new();
    let (mut hunk, mut old, mut new, mut old_left, mut new_left) = (0, 0, 0, 0, 0);
    for text in patch.split('\n') {
        if old_left <= 0 && new_left <= 0 {
            if let Some(header) = header(text) {
                hunk += 1;
                (old, old_left, new, new_left) = header;
            }
            continue;
        }
        match text.as_bytes().first() {
            Some(b'+') => {
                places.push(Place { hunk, side: Side::Right, line: new });
                new += 1;
                new_left -= 1;
            }
            Some(b'-') => {
                places.push(Place { hunk, side: Side::Left, line: old });
                old += 1;
                old_left -= 1;
            }
            Some(b'\\') => {}
            _ => {
                places.push(Place { hunk, side: Side::Right, line: new });
                (old, new) = (old + 1, new + 1);
                (old_left, new_left) = (old_left - 1, new_left - 1);
            }
        }
    }
    places
}

/// `(old start, old count, new start, new count)` of a hunk header.
fn header(line: &str) -> Option<(i64, i64, i64, i64)> {
    let (old, rest) = line.strip_prefix("@@ -")?.split_once(" +")?;
    let (new, _) = rest.split_once(" @@")?;
    let ((old, old_count), (new, new_count)) = (numbers(old)?, numbers(new)?);
    Some((old, old_count, new, new_count))
}

fn numbers(range: &str) -> Option<(i64, i64)> {
    match range.split_once(',') {
        Some((start, count)) => Some((start.parse().ok()?, count.parse().ok()?)),
        None => Some((range.parse().ok()?, 1)),
    }
}
