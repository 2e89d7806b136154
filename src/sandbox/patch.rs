//! Patches as GitHub shows them, computed from two texts: no file header, `@@` hunks with three lines of context.
//!
//! Applying the patch of `(old, new)` to `old` gives `new`, byte for byte.

/// Lines of context on either side of a change.
const CONTEXT: usize = 3;
/// Largest table of the line comparison; beyond it the differing middle is shown as replaced as a whole.
const MAX_TABLE: usize = 4_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Op {
    Keep,
    Remove,
    Add,
}

struct Line<'a> {
    op: Op,
    text: &'a str,
}

/// The patch that turns `old` into `new`; none if they are equal.
pub fn patch(old: &str, new: &str) -> Option<String> {
    let script = compare(&lines(old), &lines(new));
    let mut out = String::new();
    for (start, end) in hunks(&script) {
        write_hunk(&mut out, &script, start, end);
    }
    out.pop();
    (!out.is_empty()).then_some(out)
}

/// Added and removed lines of a header-less patch.
pub fn count(patch: &str) -> (u64, u64) {
    let body = || patch.split('\n').filter(|line| !line.starts_with("@@"));
    let count = |sign| body().filter(|line| line.starts_with(sign)).count() as u64;
    (count('+'), count('-'))
}

/// Lines with their line feeds, so that a missing last one is a difference.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn compare<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let tail = old[head..].iter().rev().zip(new[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let mut script: Vec<_> = old[..head].iter().map(|text| Line { op: Op::Keep, text }).collect();
    middle(&old[head..old.len() - tail], &new[head..new.len() - tail], &mut script);
    script.extend(old[old.len() - tail..].iter().map(|text| Line { op: Op::Keep, text }));
    script
}

/// The longest common subsequence of what is left between common ends.
fn middle<'a>(old: &[&'a str], new: &[&'a str], script: &mut Vec<Line<'a>>) {
    let width = new.len() + 1;
    if old.is_empty() || new.is_empty() || (old.len() + 1).saturating_mul(width) > MAX_TABLE {
        script.extend(old.iter().map(|text| Line { op: Op::Remove, text }));
        script.extend(new.iter().map(|text| Line { op: Op::Add, text }));
        return;
    }
    let mut common = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i * width + j] = if old[i] == new[j] {
                common[(i + 1) * width + j + 1] + 1
            } else {
                common[(i + 1) * width + j].max(common[i * width + j + 1])
            };
        }
    }
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let line = if i < old.len() && j < new.len() && old[i] == new[j] {
            i += 1;
            j += 1;
            Line { op: Op::Keep, text: old[i - 1] }
        } else if j == new.len() || (i < old.len() && common[(i + 1) * width + j] >= common[i * width + j + 1]) {
            i += 1;
            Line { op: Op::Remove, text: old[i - 1] }
        } else {
            j += 1;
            Line { op: Op::Add, text: new[j - 1] }
        };
        script.push(line);
    }
}

/// Ranges of the script that belong together: changes whose contexts touch share a hunk.
fn hunks(script: &[Line<'_>]) -> Vec<(usize, usize)> {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for (at, _) in script.iter().enumerate().filter(|(_, line)| line.op != Op::Keep) {
        let (start, end) = (at.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(script.len()));
        match ranges.last_mut() {
            Some(last) if start <= last.1 => last.1 = end,
            _ => ranges.push((start, end)),
        }
    }
    ranges
}

fn write_hunk(out: &mut String, script: &[Line<'_>], start: usize, end: usize) {
    let count = |lines: &[Line<'_>], not: Op| lines.iter().filter(|line| line.op != not).count();
    let (before, hunk) = (&script[..start], &script[start..end]);
    let old = range(count(before, Op::Add), count(hunk, Op::Add));
    let new = range(count(before, Op::Remove), count(hunk, Op::Remove));
    out.push_str(&format!("@@ -{old} +{new} @@"));
    if let Some(heading) = before.iter().rev().find(|line| line.op != Op::Add && is_heading(line.text)) {
        out.push(' ');
        out.extend(heading.text.trim_end().chars().take(80));
    }
    out.push('\n');
    for line in hunk {
        out.push(match line.op {
            Op::Keep => ' ',
            Op::Remove => '-',
            Op::Add => '+',
        });
        out.push_str(line.text);
        if !line.text.ends_with('\n') {
            out.push_str("\n\\ No newline at end of file\n");
        }
    }
}

/// `start,count` as git writes it: the count 1 is left out, and an empty range names the line before it.
fn range(before: usize, count: usize) -> String {
    match count {
        0 => format!("{before},0"),
        1 => format!("{}", before + 1),
        _ => format!("{},{count}", before + 1),
    }
}

/// What git shows behind `@@` by default: the last line that starts with a letter, `_` or `$`.
fn is_heading(line: &str) -> bool {
    line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
}
