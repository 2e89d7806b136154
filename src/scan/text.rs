//! Key files as values. Everything a project could write is bounded: depth, size, aliases, entities.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// JSON, with comments and trailing commas as `tsconfig.json` has them. Otherwise what is wrong, in words for people.
pub(super) fn json(text: &str) -> Result<Value, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // Most JSON is plain; the rest has comments.
    serde_json::from_str(text)
        .or_else(|_| serde_json::from_str(&without_comments(text)))
        .map_err(|error| format!("not valid JSON (line {})", error.line()))
}

/// TOML.
pub(super) fn toml(text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|error: toml::de::Error| {
        let line =
            error.span().map_or(1, |span| text.bytes().take(span.start).filter(|byte| *byte == b'\n').count() + 1);
        format!("not valid TOML (line {line})")
    })
}

/// YAML: the first document.
pub(super) fn yaml(text: &str) -> Result<Value, String> {
    // What real key files stay far below. An alias may be followed, but not so often that a small file becomes a large one.
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_events: 200_000,
            max_nodes: 100_000,
            max_anchors: 1_000,
            max_aliases: 2_000,
            max_depth: 48,
            max_documents: 20,
            max_merge_keys: 1_000,
            max_total_scalar_bytes: 2 * 1024 * 1024,
            max_recorded_anchor_events: 50_000,
            max_recorded_anchor_bytes: 2 * 1024 * 1024,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 50_000,
            max_replay_stack_depth: 16,
        },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    read_yaml(text, options)
}

fn read_yaml<T: DeserializeOwned>(text: &str, options: serde_saphyr::Options) -> Result<T, String> {
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
        Some(place) => format!("not valid YAML, or too complex (line {})", place.line()),
        None => "not valid YAML, or too complex".to_owned(),
    })
}

/// Most declarations of name spaces in a document: every element that declares one is given all those around it.
const MAX_NAMESPACES: usize = 64;

/// Most attributes of an element: each is compared with all before it.
const MAX_ATTRIBUTES: usize = 200;

/// XML without a document type definition.
pub(super) fn xml(text: &str) -> Result<roxmltree::Document<'_>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.matches("xmlns").count() > MAX_NAMESPACES || most_attributes(text) > MAX_ATTRIBUTES {
        return Err("too complex".to_owned());
    }
    let options = roxmltree::ParsingOptions { nodes_limit: 100_000, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options)
        .map_err(|error| format!("not valid XML (line {})", error.pos().row))
}

/// Attributes of the element that has most of them. Where a text is no XML this means nothing, and parsing it fails.
fn most_attributes(text: &str) -> usize {
    let mut most = 0;
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        rest = &rest[start..];
        let hidden = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")].into_iter();
        if let Some((open, close)) = hidden.into_iter().find(|(open, _)| rest.starts_with(open)) {
            rest = rest[open.len()..].split_once(close).map_or("", |(_, rest)| rest);
            continue;
        }
        let mut attributes = 0;
        loop {
            let Some(at) = rest.find(['"', '\'', '>']) else { return most.max(attributes) };
            let mark = &rest[at..=at];
            rest = &rest[at + 1..];
            if mark == ">" {
                break;
            }
            attributes += 1;
            rest = rest.split_once(mark).map_or("", |(_, rest)| rest);
        }
        most = most.max(attributes);
    }
    most
}

/// JSON with its comments blank and without commas before a closing bracket; lines stay where they are.
fn without_comments(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    // Where the last comma is, if nothing but white space and comments came after it.
    let mut comma = None;
    while let Some(c) = rest.next() {
        match (c, rest.peek()) {
            ('"', _) => {
                plain.push('"');
                while let Some(c) = rest.next() {
                    plain.push(c);
                    match c {
                        '\\' => plain.extend(rest.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                comma = None;
            }
            ('/', Some('/')) => while rest.next_if(|c| *c != '\n').is_some() {},
            ('/', Some('*')) => {
                rest.next();
                let mut before = ' ';
                for c in rest.by_ref() {
                    if c == '\n' {
                        plain.push('\n');
                    }
                    if (before, c) == ('*', '/') {
                        break;
                    }
                    before = c;
                }
                plain.push(' ');
            }
            (',', _) => {
                comma = Some(plain.len());
                plain.push(',');
            }
            ('}' | ']', _) => {
                if let Some(at) = comma.take() {
                    plain.replace_range(at..=at, " ");
                }
                plain.push(c);
            }
            (c, _) => {
                if !c.is_whitespace() {
                    comma = None;
                }
                plain.push(c);
            }
        }
    }
    plain
}

/// What may be shown: on one line, without control characters or marks that turn the direction of text, cut to 120
/// characters.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 120;
    let turns =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let mut words = String::new();
    // Far more than is shown, far less than a key file has.
    for word in text[..text.floor_char_boundary(4 * LONGEST)].split(|c: char| c.is_whitespace() || c.is_control()) {
        if !word.is_empty() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(word.chars().filter(|c| !turns(*c)));
    }
    match words.char_indices().nth(LONGEST) {
        None => words,
        Some((end, _)) => {
            let end = words[..end].char_indices().next_back().map_or(0, |(at, _)| at);
            format!("{}…", words[..end].trim_end())
        }
    }
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
