//! Text to hunks. Stops each hunk by its counts; every refusal names the line of the patch.

use std::fmt;

use super::{Hunk, Line, LineKind, Patch};

/// Why a patch cannot be read, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffError {
    /// Line of the patch's text, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Expected `@@ -a,b +c,d @@`.
    Header,
    /// A line number that no file can have.
    Number,
    /// A line that starts with neither a space, `+`, `-` nor `\`.
    Prefix,
    /// A `\ No newline` marker that belongs to no line, or to one that has one already.
    Marker,
    /// More lines on one side than the header promised.
    Counts,
    /// The patch ends before the hunk does.
    Truncated,
    /// The hunk starts before the previous one ended.
    Overlap,
    /// More than [`Patch::MAX_LINES`] lines.
    TooLong,
}

impl fmt::Display for DiffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Problem::Header => "not a hunk header",
            Problem::Number => "line numbers out of range",
            Problem::Prefix => "not a line of a diff",
            Problem::Marker => "a stray end-of-file marker",
            Problem::Counts => "more lines than the hunk's header promises",
            Problem::Truncated => "the hunk ends early",
            Problem::Overlap => "the hunk overlaps the one before",
            Problem::TooLong => "too many lines",
        };
        write!(f, "line {} of the patch: {problem}", self.line)
    }
}

impl std::error::Error for DiffError {}

/// The half-open range of line numbers one side of a hunk covers.
#[derive(Clone, Copy)]
struct Span {
    next: u32,
    end: u32,
}

impl Span {
    /// A side without lines sits *after* its start line, so that it too can be put in order.
    fn new(start: u32, count: u32) -> Result<Self, Problem> {
        let first = match (start, count) {
            (_, 0) => start.checked_add(1),
            (0, _) => None,
            _ => Some(start),
        };
        let first = first.ok_or(Problem::Number)?;
        Ok(Self { next: first, end: first.checked_add(count).ok_or(Problem::Number)? })
    }

    fn done(self) -> bool {
        self.next == self.end
    }

    fn take(&mut self) -> Result<u32, Problem> {
        if self.done() {
            return Err(Problem::Counts);
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

pub(super) fn parse(text: &str) -> Result<Patch<'_>, DiffError> {
    // GitHub separates lines by `\n` and ends the last one with nothing, so the piece after a final `\n` is a line too.
    let mut lines = text.split('\n').zip(1..).peekable();
    let mut hunks: Vec<Hunk<'_>> = Vec::new();
    let (mut old_end, mut new_end, mut total) = (0, 0, 0_usize);

    while let Some((raw, at)) = lines.next() {
        if raw.is_empty() {
            continue;
        }
        let here = |problem| DiffError { line: at, problem };
        let mut hunk = header(raw).map_err(here)?;
        let mut old = Span::new(hunk.old_start, hunk.old_count).map_err(here)?;
        let mut new = Span::new(hunk.new_start, hunk.new_count).map_err(here)?;
        if old.next < old_end || new.next < new_end {
            return Err(here(Problem::Overlap));
        }
        (old_end, new_end) = (old.end, new.end);

        let mut last = at;
        while !(old.done() && new.done()) {
            let Some((raw, at)) = lines.next() else {
                return Err(DiffError { line: last, problem: Problem::Truncated });
            };
            last = at;
            let here = |problem| DiffError { line: at, problem };
            if raw.starts_with('\\') {
                mark(&mut hunk).map_err(here)?;
                continue;
            }
            total += 1;
            if total > Patch::MAX_LINES {
                return Err(here(Problem::TooLong));
            }
            hunk.lines.push(line(raw, &mut old, &mut new).map_err(here)?);
        }
        if let Some((_, at)) = lines.next_if(|(raw, _)| raw.starts_with('\\')) {
            mark(&mut hunk).map_err(|problem| DiffError { line: at, problem })?;
        }
        hunks.push(hunk);
    }
    Ok(Patch { hunks })
}

fn header(raw: &str) -> Result<Hunk<'_>, Problem> {
    let split = || {
        let (old, rest) = raw.strip_prefix("@@ -")?.split_once(" +")?;
        let (new, heading) = rest.split_once(" @@")?;
        Some((old, new, heading.strip_prefix(' ').unwrap_or(heading)))
    };
    let (old, new, heading) = split().ok_or(Problem::Header)?;
    let (old_start, old_count) = range(old)?;
    let (new_start, new_count) = range(new)?;
    Ok(Hunk { old_start, old_count, new_start, new_count, heading, lines: Vec::new() })
}

fn range(text: &str) -> Result<(u32, u32), Problem> {
    let (start, count) = text.split_once(',').unwrap_or((text, "1"));
    Ok((number(start)?, number(count)?))
}

fn number(text: &str) -> Result<u32, Problem> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::Header);
    }
    text.parse().map_err(|_| Problem::Number)
}

fn line<'a>(raw: &'a str, old: &mut Span, new: &mut Span) -> Result<Line<'a>, Problem> {
    let (kind, text) = match raw.as_bytes().first() {
        // Some tools trim the single space of an empty context line.
        None => (LineKind::Context, raw),
        Some(b' ') => (LineKind::Context, &raw[1..]),
        Some(b'+') => (LineKind::Added, &raw[1..]),
        Some(b'-') => (LineKind::Removed, &raw[1..]),
        Some(_) => return Err(Problem::Prefix),
    };
    let old = kind.on_old().then(|| old.take()).transpose()?;
    let new = kind.on_new().then(|| new.take()).transpose()?;
    Ok(Line { kind, text, old, new, no_newline: false })
}

fn mark(hunk: &mut Hunk<'_>) -> Result<(), Problem> {
    match hunk.lines.last_mut() {
        Some(line) if !line.no_newline => line.no_newline = true,
        _ => return Err(Problem::Marker),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn problem(text: &str) -> (usize, Problem) {
        let error = Patch::parse(text).unwrap_err();
        (error.line, error.problem)
    }

    /// `kind old new text`, one string per line.
    fn shown(text: &str) -> Vec<String> {
        let show = |number: Option<u32>| number.map_or("-".to_owned(), |number| number.to_string());
        Patch::parse(text)
            .unwrap()
            .lines()
            .map(|line| {
                let kind = match line.kind {
                    LineKind::Context => '=',
                    LineKind::Added => '+',
                    LineKind::Removed => '-',
                };
                format!("{kind} {} {} {}", show(line.old), show(line.new), line.text)
            })
            .collect()
    }

    #[test]
    fn p1_an_omitted_count_means_one() {
        let patch = Patch::parse("@@ -1 +1 @@\n-a\n+b").unwrap();
        let hunk = &patch.hunks[0];
        assert_eq!((hunk.old_start, hunk.old_count, hunk.new_start, hunk.new_count), (1, 1, 1, 1));
        assert_eq!(shown("@@ -0,0 +1 @@\n+a"), ["+ - 1 a"]);
        assert_eq!(shown("@@ -7 +6,0 @@\n-a"), ["- 7 - a"]);
    }

    #[test]
    fn p2_no_newline_marker_consumes_no_number() {
        let text = "@@ -1,2 +1,3 @@\n x\n-a\n\\ No newline at end of file\n+a\n+b\n\\ No newline at end of file";
        assert_eq!(shown(text), ["= 1 1 x", "- 2 - a", "+ - 2 a", "+ - 3 b"]);
        let patch = Patch::parse(text).unwrap();
        assert_eq!(patch.lines().map(|line| line.no_newline).collect::<Vec<_>>(), [false, true, false, true]);
    }

    #[test]
    fn p2_a_marker_needs_a_line_of_its_own() {
        assert_eq!(problem("@@ -1 +1 @@\n\\ No newline at end of file\n-a\n+b"), (2, Problem::Marker));
        assert_eq!(problem("@@ -1 +1 @@\n-a\n\\ x\n\\ x\n+b"), (4, Problem::Marker));
        assert_eq!(problem("@@ -1 +1 @@\n-a\n+b\n\\ x\n\\ x"), (5, Problem::Header));
    }

    #[test]
    fn p3_only_a_line_feed_ends_a_line() {
        let odd = "a\u{b}b\u{c}c\u{85}d\u{2028}e\r";
        assert_eq!(shown(&format!("@@ -0,0 +1,2 @@\n+{odd}\n+z")), [format!("+ - 1 {odd}"), "+ - 2 z".to_owned()]);
    }

    #[test]
    fn p4_counts_end_a_hunk_not_the_look_of_a_line() {
        let text = "@@ -1,2 +1,2 @@ fn a() { // @@ -9,9 +9,9 @@\n--- a/x\n-@@ -1 +1 @@\n+++ b/x\n+@@ -1 +1 @@\n@@ -9 +9 @@\n-a\n+b";
        assert_eq!(
            shown(text),
            ["- 1 - -- a/x", "- 2 - @@ -1 +1 @@", "+ - 1 ++ b/x", "+ - 2 @@ -1 +1 @@", "- 9 - a", "+ - 9 b"]
        );
        assert_eq!(Patch::parse(text).unwrap().hunks[0].heading, "fn a() { // @@ -9,9 +9,9 @@");
    }

    #[test]
    fn p5_an_empty_line_is_context_inside_a_hunk_and_nothing_after_it() {
        let text = "@@ -1,3 +1,3 @@\n\n-a\n+b\n\n\n\n@@ -9 +9 @@\n-a\n+b\n";
        assert_eq!(shown(text), ["= 1 1 ", "- 2 - a", "+ - 2 b", "= 3 3 ", "- 9 - a", "+ - 9 b"]);
    }

    #[test]
    fn p6_no_text_is_no_error() {
        assert_eq!(Patch::parse("").unwrap(), Patch::default());
        let submodule =
            format!("@@ -1 +1 @@\n-Subproject commit {}\n+Subproject commit {}", "a".repeat(40), "b".repeat(40));
        assert_eq!(Patch::parse(&submodule).unwrap().totals(), (1, 1));
        assert_eq!(Patch::parse("@@ -0,0 +0,0 @@").unwrap().totals(), (0, 0));
    }

    #[test]
    fn p8_what_makes_no_sense_is_a_typed_error() {
        for (text, expected) in [
            ("diff --git a/x b/x", (1, Problem::Header)),
            ("@@ -1 +1", (1, Problem::Header)),
            ("@@ -a +1 @@", (1, Problem::Header)),
            ("@@ -+1 +1 @@", (1, Problem::Header)),
            ("@@ -1,-1 +1 @@", (1, Problem::Header)),
            ("@@@ -1 -1 +1 @@@", (1, Problem::Header)),
            ("@@ -4294967296 +1 @@\n-a\n+b", (1, Problem::Number)),
            ("@@ -4294967295,2 +1,2 @@\n a\n b", (1, Problem::Number)),
            ("@@ -4294967295,0 +1 @@\n+b", (1, Problem::Number)),
            ("@@ -0 +1 @@\n-a\n+b", (1, Problem::Number)),
            ("@@ -1,2 +1,2 @@\n a", (2, Problem::Truncated)),
            ("@@ -1,2 +1,2 @@", (1, Problem::Truncated)),
            ("@@ -1,2 +1,2 @@\n a\n@@ -9 +9 @@\n-a\n+b", (3, Problem::Prefix)),
            ("@@ -1 +1,2 @@\n-a\n-b\n+c\n+d", (3, Problem::Counts)),
            ("@@ -1 +1 @@\n-a\n+b\n+c", (4, Problem::Header)),
            ("@@ -5,2 +5,2 @@\n a\n b\n@@ -6 +7 @@\n-a\n+b", (4, Problem::Overlap)),
            ("@@ -5,2 +5,2 @@\n a\n b\n@@ -7 +6 @@\n-a\n+b", (4, Problem::Overlap)),
            ("@@ -5 +5 @@\n-a\n+b\n@@ -1 +1 @@\n-a\n+b", (4, Problem::Overlap)),
        ] {
            assert_eq!(problem(text), expected, "{text:?}");
        }
    }

    #[test]
    fn p8_every_cut_of_a_patch_is_an_error_or_a_shorter_patch() {
        let text = "@@ -1,3 +1,4 @@ fn é\n a\n-b\n+c é\n+d\n e\n@@ -9 +10 @@\n-x\n\\ No newline at end of file\n+y";
        let whole = Patch::parse(text).unwrap().lines().count();
        for cut in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            if let Ok(patch) = Patch::parse(&text[..cut]) {
                assert!(patch.lines().count() <= whole);
            }
        }
    }

    #[test]
    fn adjacent_hunks_do_not_overlap() {
        assert_eq!(shown("@@ -1 +1 @@\n-a\n+b\n@@ -2 +2 @@\n-c\n+d").len(), 4);
        assert_eq!(shown("@@ -1 +1 @@\n-a\n+b\n@@ -1,0 +2 @@\n+d").len(), 3);
    }

    #[test]
    fn an_error_says_where_and_what() {
        let error = Patch::parse("@@ -1,2 +1,2 @@\n a").unwrap_err();
        assert_eq!(error.to_string(), "line 2 of the patch: the hunk ends early");
    }

    #[test]
    fn a_million_lines_are_read_and_one_more_is_refused() {
        let mut text = format!("@@ -0,0 +1,{} @@", Patch::MAX_LINES);
        text.push_str(&"\n+x".repeat(Patch::MAX_LINES));
        assert_eq!(Patch::parse(&text).unwrap().totals(), (Patch::MAX_LINES as u64, 0));
        let text = text.replacen("1000000", "1000001", 1) + "\n+x";
        assert_eq!(problem(&text).1, Problem::TooLong);
    }

    #[test]
    fn ten_megabytes_on_one_line_are_one_line() {
        let text = format!("@@ -0,0 +1 @@\n+{}", "x".repeat(10 << 20));
        assert_eq!(Patch::parse(&text).unwrap().totals(), (1, 0));
    }

    #[test]
    fn a_header_that_promises_billions_of_lines_reserves_nothing() {
        assert_eq!(problem("@@ -1,4000000000 +1,4000000000 @@\n a"), (2, Problem::Truncated));
    }
}
