//! The parts of a Markdown text that say something: without code and without HTML comments.
//!
//! A sketch of CommonMark's block structure: enough to tell code from text, one pass, no backtracking.

use std::collections::HashMap;

/// The paragraphs of `text`; what is hidden inside one stands there as a single NUL.
pub(super) fn paragraphs(text: &str) -> Vec<String> {
    let mut reader = Reader { rest: text, paragraph: String::new(), list: 0, paragraphs: Vec::new() };
    while !reader.rest.is_empty() {
        reader.line();
    }
    reader.flush();
    reader.paragraphs
}

struct Reader<'t> {
    rest: &'t str,
    paragraph: String,
    /// How far the content of the list is indented that the present line may belong to.
    list: usize,
    paragraphs: Vec<String>,
}

impl Reader<'_> {
    fn line(&mut self) {
        let (whole, quotes) = unquote(self.rest.lines().next().unwrap_or_default(), usize::MAX);
        let (indent, line) = unindent(whole);
        if line.is_empty() {
            self.flush();
            return self.skip_line();
        }
        // Indented code cannot interrupt a paragraph.
        let starts = self.paragraph.is_empty();
        if starts {
            self.list = self.list.min(indent);
            if indent >= self.list + 4 {
                return self.skip_line();
            }
        }
        if let Some(content) = list_item(line) {
            self.flush();
            self.list = indent + content;
        }
        let line = line[list_item(line).unwrap_or(0).min(line.len())..].trim_start();
        if let Some(fence) = Fence::open(line, quotes) {
            self.flush();
            self.skip_line();
            return self.skip_fenced(fence);
        }
        if line.starts_with("<!--") {
            // A block of HTML: it may hold empty lines, and goes on to the end if nothing closes it.
            let start = self.rest.find("<!--").unwrap_or(0);
            let inside = &self.rest[start + 4..];
            self.rest = inside.find("-->").map_or("", |end| &inside[end + 3..]);
            self.paragraph.push('\0');
            return;
        }
        self.paragraph.push_str(line);
        self.paragraph.push('\n');
        self.skip_line();
    }

    fn skip_line(&mut self) {
        self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
    }

    fn skip_fenced(&mut self, fence: Fence) {
        while !self.rest.is_empty() {
            let (whole, quotes) = unquote(self.rest.lines().next().unwrap_or_default(), fence.quotes);
            if quotes < fence.quotes {
                return;
            }
            self.skip_line();
            if fence.is_closed_by(unindent(whole).1) {
                return;
            }
        }
    }

    fn flush(&mut self) {
        if !self.paragraph.is_empty() {
            self.paragraphs.push(without_code(&std::mem::take(&mut self.paragraph)));
        }
    }
}

/// Takes quotation marks off a line, at most so many.
fn unquote(mut line: &str, most: usize) -> (&str, usize) {
    let mut quotes = 0;
    while quotes < most {
        let Some(rest) = line.trim_start_matches(' ').strip_prefix('>').filter(|_| indent(line) < 4) else { break };
        line = rest.strip_prefix(' ').unwrap_or(rest);
        quotes += 1;
    }
    (line, quotes)
}

/// Columns of white space before a line, and the line without white space around it.
fn unindent(line: &str) -> (usize, &str) {
    (indent(line), line.trim_matches([' ', '\t', '\r']))
}

/// Columns of white space before a line.
fn indent(line: &str) -> usize {
    let white = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t'));
    white.fold(0, |column, byte| if byte == b'\t' { column / 4 * 4 + 4 } else { column + 1 })
}

/// Whether this begins an item of a list; if so, after how many bytes its content stands.
fn list_item(line: &str) -> Option<usize> {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marker = match line.as_bytes().get(digits)? {
        b'-' | b'+' | b'*' if digits == 0 => 1,
        b'.' | b')' if (1..=9).contains(&digits) => digits + 1,
        _ => return None,
    };
    let spaces = line.bytes().skip(marker).take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    (spaces > 0).then_some(marker + if spaces > 4 { 1 } else { spaces })
}

struct Fence {
    mark: char,
    length: usize,
    quotes: usize,
}

impl Fence {
    fn open(line: &str, quotes: usize) -> Option<Self> {
        let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = line.trim_start_matches(mark);
        let length = line.len() - info.len();
        (length >= 3 && !(mark == '`' && info.contains('`'))).then_some(Self { mark, length, quotes })
    }

    fn is_closed_by(&self, line: &str) -> bool {
        line.len() >= self.length && line.trim_start_matches(self.mark).is_empty()
    }
}

/// A paragraph with a NUL for each code span and each comment. Code spans end at the next run of as many backticks.
fn without_code(paragraph: &str) -> String {
    let mut partner = HashMap::new();
    let mut last = HashMap::new();
    for (start, length) in backticks(paragraph) {
        if let Some(before) = last.insert(length, start) {
            partner.insert(before, start + length);
        }
    }
    let last_close = paragraph.rfind("-->").unwrap_or(0);
    let mut text = String::with_capacity(paragraph.len());
    let mut at = 0;
    while let Some(next) = paragraph[at..].find(['`', '<', '\\']) {
        text.push_str(&paragraph[at..at + next]);
        at += next;
        let rest = &paragraph[at..];
        if rest.starts_with("<!--") && last_close > at {
            // `last_close` is behind `at`, so this finds one, and each byte is looked at once.
            at += rest.find("-->").map_or(rest.len(), |end| end + 3);
            text.push('\0');
        } else if rest.starts_with('`') {
            let run = rest.len() - rest.trim_start_matches('`').len();
            match partner.get(&at) {
                Some(end) => (at, _) = (*end, text.push('\0')),
                None => (at, _) = (at + run, text.push_str(&rest[..run])),
            }
        } else {
            // A backslash takes the meaning from the backtick behind it.
            let taken = if rest.starts_with("\\`") { 2 } else { 1 };
            text.push_str(&rest[..taken]);
            at += taken;
        }
    }
    text.push_str(&paragraph[at..]);
    text
}

/// Start and length of each run of backticks.
fn backticks(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + text[at..].find('`')?;
        let length = text[start..].bytes().take_while(|byte| *byte == b'`').count();
        at = start + length;
        Some((start, length))
    })
}
