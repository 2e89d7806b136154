//! `debug-leftover`: a debugger's breakpoint or `dbg!` that was left in.
//!
//! Printing is never reported: it is nearly always what a program is for.

use std::sync::LazyLock;

use regex::Regex;

use super::{
    Change, Fix, Hit,
    code::{self, CodeLine, Lang},
    pattern,
};
use crate::domain::{diff::LineKind, review::Severity};

static RUST: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[^\w!])(dbg!)\s*[(\[{]"));
static SCRIPT: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:^|[;{})\s])(debugger)\s*(?:;|\}|$)"));
static PYTHON: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^.\w])((?:i?pdb|pudb)\.set_trace|breakpoint)\s*\(\s*\)"));
static PYTHON_IMPORT: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^\s*(import\s+(?:i?pdb|pudb)|from\s+(?:i?pdb|pudb)\s+import\s+set_trace)\s*(?:$|[;,])"));
static PYTHON_USE: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bpdb\.(\w+)"));
static RUBY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^.\w])(binding\.(?:pry|irb)\b|byebug\s*(?:$|;|\bif\b|\bunless\b))"));

// The leftover is all there is on the line.
static SCRIPT_LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*debugger\s*;?\s*$"));
static PYTHON_LINE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?:(?:import\s+\w+\s*;\s*)?(?:(?:i?pdb|pudb)\.set_trace|breakpoint)\(\)\s*;?|import\s+\w+|from\s+\w+\s+import\s+set_trace)\s*$",
    )
});
static RUBY_LINE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(?:binding\.(?:pry|irb)|byebug)\s*;?\s*$"));

pub(super) fn check(change: &Change<'_>) -> Vec<Hit> {
    let Some(lang) = Lang::of(&change.extension()) else { return Vec::new() };
    let hints: &[&str] = match lang {
        Lang::Rust => &["dbg!"],
        Lang::Script => &["debugger"],
        Lang::Python => &["pdb", "pudb", "breakpoint"],
        Lang::Ruby => &["binding.", "byebug"],
        Lang::Go => return Vec::new(),
    };
    if !change.mentions(hints) || change.place.example || change.place.docs || is_about_debugging(change) {
        return Vec::new();
    }
    // Whoever uses the module for something else means it.
    let import = lang == Lang::Python
        && !change
            .patch
            .lines()
            .flat_map(|line| PYTHON_USE.captures_iter(line.text))
            .any(|used| &used[1] != "set_trace");

    let mut hits = Vec::new();
    for hunk in &change.patch.hunks {
        let lines = code::lines(hunk, lang);
        for (at, here) in lines.iter().enumerate().filter(|(_, here)| here.line.kind == LineKind::Added) {
            let Some(what) = leftover(lang, &here.code, import) else { continue };
            let fix = match lang {
                Lang::Rust => fix_rust(here),
                Lang::Python => whole(lang, here).filter(|_| !only_statement(&lines, at)),
                _ => whole(lang, here).filter(|_| !is_body(&lines, at)),
            };
            let name = what.trim_end_matches([';', ' ', '(']).split_whitespace().collect::<Vec<_>>().join(" ");
            hits.push(Hit {
                severity: Severity::Warn,
                line: here.number,
                message: match lang {
                    Lang::Rust => {
                        "`dbg!` is left over from debugging: it prints to standard error in release builds too. \
                                   Remove it."
                            .to_owned()
                    }
                    _ if name.contains("import") => format!("`{name}` is left over from debugging. Remove it."),
                    _ => format!("`{name}` is left over from debugging: it stops the program here. Remove it."),
                },
                fix,
                key: None,
            });
        }
    }
    hits
}

/// Tests of linters and debuggers hold what they look for.
fn is_about_debugging(change: &Change<'_>) -> bool {
    let path = change.path.to_ascii_lowercase();
    change.place.fixture
        || change.place.test && ["lint", "debugger", "dbg", "clippy", "rules/"].iter().any(|word| path.contains(word))
}

fn leftover(lang: Lang, code: &str, import: bool) -> Option<&str> {
    let first = |regex: &Regex| {
        let found = regex.captures(code)?.get(1)?;
        Some(&code[found.range()])
    };
    match lang {
        Lang::Rust => first(&RUST),
        Lang::Script => first(&SCRIPT),
        Lang::Python => first(&PYTHON)
            .filter(|_| !code.trim_start().starts_with("def ") && !code.contains("async def "))
            .or_else(|| first(&PYTHON_IMPORT).filter(|_| import)),
        Lang::Ruby => first(&RUBY).filter(|_| !code.trim_start().starts_with("def ")),
        Lang::Go => None,
    }
}

/// Deletes the line if the leftover is all of it. Read from the text, not the code: a comment behind it may matter.
fn whole(lang: Lang, here: &CodeLine<'_>) -> Option<Fix> {
    let all = match lang {
        Lang::Script => &SCRIPT_LINE,
        Lang::Python => &PYTHON_LINE,
        Lang::Ruby => &RUBY_LINE,
        Lang::Rust | Lang::Go => return None,
    };
    all.is_match(here.line.text).then(|| Fix::delete(here.line.text))
}

/// Whether the line is the body of an `if (…)` or `else` without braces: deleting it would give them the next one.
fn is_body(lines: &[CodeLine<'_>], at: usize) -> bool {
    let above = lines[..at].iter().rev().map(|line| line.code.trim()).find(|code| !code.is_empty());
    above.is_some_and(|code| {
        code.ends_with(')') || code.ends_with("else") || code.ends_with("do") || code.ends_with("=>")
    })
}

/// Whether deleting the line would leave a Python block empty, as far as the hunk shows.
fn only_statement(lines: &[CodeLine<'_>], at: usize) -> bool {
    let indent = |code: &str| code.len() - code.trim_start().len();
    let filled = |line: &&CodeLine<'_>| !line.code.trim().is_empty();
    let opens = lines[..at].iter().rev().find(filled).is_none_or(|above| above.code.trim_end().ends_with(':'));
    let goes_on =
        lines[at + 1..].iter().find(filled).is_some_and(|below| indent(&below.code) == indent(&lines[at].code));
    opens && !goes_on && indent(&lines[at].code) > 0
}

/// Deletes `dbg!(x);` where `x` does nothing, and takes the macro off `let y = dbg!(x);` where that changes nothing.
fn fix_rust(here: &CodeLine<'_>) -> Option<Fix> {
    let (text, code) = (here.line.text, here.code.as_str());
    let start = code.find("dbg!(")?;
    let inner = start + "dbg!(".len();
    if code.matches("dbg!").count() != 1 {
        return None;
    }
    let end = inner + closing(&code[inner..])?;
    let (before, after) = (code[..start].trim_end(), code[end + 1..].trim());
    let (shown, value) = (&code[inner..end], text[inner..end].trim());
    // A comment on the line would be lost or left behind.
    if text[end + 1..].trim() != after || text[..start].trim_end() != before.trim_end() && before.is_empty() {
        return None;
    }
    if before.is_empty() && after == ";" {
        return (!shown.contains(['(', '!', '?', '=', '{', '|'])).then(|| Fix::delete(text));
    }
    let alone =
        before.ends_with(" =") || before.ends_with(['(', ',']) || before.ends_with(" return") || before == "return";
    let ends = after.starts_with([';', ')', ',']);
    (alone && ends && !value.is_empty() && !has_comma(shown))
        .then(|| Fix::replace(text, [&text[..start], value, &text[end + 1..]].concat()))
}

/// Where the bracket that is already open closes.
fn closing(code: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' if depth == 0 => return Some(at),
            b')' | b']' | b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// Whether there is a comma outside brackets: then `dbg!` makes a tuple.
fn has_comma(code: &str) -> bool {
    let mut depth = 0_i32;
    code.bytes().any(|byte| {
        depth += match byte {
            b'(' | b'[' | b'{' => 1,
            b')' | b']' | b'}' => -1,
            _ => 0,
        };
        byte == b',' && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use crate::review::rules::testing::{NONE, fixed, lines};

    fn at(path: &str, text: &str) -> Vec<u32> {
        lines("debug-leftover", path, text)
    }

    fn fix(path: &str, text: &str) -> Option<String> {
        fixed("debug-leftover", path, text)
    }

    #[test]
    fn leftovers_are_found_by_language() {
        for (path, text) in [
            ("src/a.rs", "    dbg!(x);"),
            ("src/a.rs", "let y = dbg!(x + 1);"),
            ("src/a.rs", "std::dbg![x];"),
            ("src/a.rs", "dbg!(\n"),
            ("a.js", "debugger;"),
            ("a.tsx", "  debugger"),
            ("a.ts", "if (x) { debugger }"),
            ("a.vue", "if (x) debugger;"),
            ("a.py", "import pdb; pdb.set_trace()"),
            ("a.py", "    pdb.set_trace()"),
            ("a.py", "ipdb.set_trace()"),
            ("a.py", "breakpoint()"),
            ("a.py", "if x: breakpoint()"),
            ("a.py", "from pdb import set_trace"),
            ("a.py", "import pdb"),
            ("a.rb", "binding.pry"),
            ("a.rb", "x = 1; binding.irb"),
            ("lib/a.rake", "byebug if x"),
        ] {
            assert_eq!(at(path, text), [1], "{path}: {text}");
        }
    }

    #[test]
    fn printing_is_not_a_leftover() {
        for (path, text) in [
            ("a.js", "console.log(x);\nconsole.debug(x)\nalert(1)"),
            ("a.rs", "println!(\"{x:?}\");\neprintln!(\"x\");\nprint!(\"x\")"),
            ("a.py", "print(x)\npprint(x)"),
            ("a.rb", "puts x\np x"),
            ("a.go", "fmt.Println(x)"),
        ] {
            assert_eq!(at(path, text), NONE, "{path}");
        }
    }

    #[test]
    fn comments_strings_and_names_are_not_leftovers() {
        for (path, text) in [
            ("a.rs", "// dbg!(x);"),
            ("a.rs", "/// dbg!(x);"),
            ("a.rs", "let a = \"dbg!(x)\";"),
            ("a.rs", "my_dbg!(x);"),
            ("a.rs", "macro_rules! dbg {"),
            ("a.js", "// debugger;"),
            ("a.js", "/*\n * debugger;\n */"),
            ("a.js", "const a = 'debugger;'"),
            ("a.js", "x.debugger = 1; debugger_on(); const debuggers = 1"),
            ("a.js", "`\ndebugger;\n`"),
            ("a.js", "{ debugger: 1 }"),
            ("a.py", "# breakpoint()"),
            ("a.py", "\"\"\"\nbreakpoint()\n\"\"\""),
            ("a.py", "self.breakpoint()"),
            ("a.py", "def breakpoint():"),
            ("a.py", "set_breakpoint(x)"),
            ("a.py", "import pdbpp"),
            ("a.py", "import pdb as debugger"),
            ("a.py", "pdb.set_trace(sys._getframe().f_back)"),
            ("a.py", "import pdb\nclass A(pdb.Pdb): pass"),
            ("a.rb", "gem 'byebug'\nrequire \"byebug\"\nself.byebug\nbyebug: true"),
            ("a.md", "dbg!(x);"),
            ("a.txt", "debugger;"),
        ] {
            assert_eq!(at(path, text), NONE, "{path}: {text}");
        }
    }

    #[test]
    fn examples_documentation_and_tests_of_linters_are_left_alone() {
        for path in
            ["examples/a.rs", "docs/a.rs", "tests/fixtures/a.rs", "tests/lint/dbg_macro.rs", "tests/ui/clippy/a.rs"]
        {
            assert_eq!(at(path, "dbg!(x);"), NONE, "{path}");
        }
        assert_eq!(at("tests/a.rs", "dbg!(x);"), [1]);
        assert_eq!(at("src/client.rs", "dbg!(x);"), [1]);
    }

    #[test]
    fn a_line_that_is_nothing_else_can_be_deleted() {
        for (path, text) in [
            ("a.rs", "    dbg!(x);"),
            ("a.rs", "dbg!(&self.a, b[1]);"),
            ("a.rs", "dbg!();"),
            ("a.rs", "dbg!(\"here, (1)\");"),
            ("a.js", "\tdebugger;"),
            ("a.js", "debugger"),
            ("a.py", "import pdb; pdb.set_trace()"),
            ("a.py", "breakpoint()"),
            ("a.rb", "  binding.pry"),
            ("a.rb", "byebug"),
        ] {
            assert_eq!(fix(path, text).as_deref(), Some(""), "{text}");
        }
    }

    #[test]
    fn a_value_that_passes_through_keeps_its_line() {
        for (text, expected) in [
            ("    let x = dbg!(y);", "    let x = y;"),
            ("f(dbg!(a + b), c);", "f(a + b, c);"),
            ("let x = dbg!(f(a, (b, c)));", "let x = f(a, (b, c));"),
            ("return dbg!(x);", "return x;"),
            ("let x = dbg!(\"a, b\");", "let x = \"a, b\";"),
        ] {
            assert_eq!(fix("a.rs", text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_mechanical_is_left_to_the_author() {
        for (path, text) in [
            ("a.rs", "dbg!(queue.pop());"),
            ("a.rs", "dbg!(x = 1);"),
            ("a.rs", "let x = dbg!(a, b);"),
            ("a.rs", "let x = -dbg!(a + b);"),
            ("a.rs", "let x = dbg!(a + b).abs();"),
            ("a.rs", "x += dbg!(a);"),
            ("a.rs", "let x = dbg!(dbg!(a));"),
            ("a.rs", "let x = dbg!("),
            ("a.rs", "dbg!(x); // why"),
            ("a.rs", "dbg![x];"),
            ("a.js", "if (x) debugger;"),
            ("a.js", "if (x)\n  debugger;\ny();"),
            ("a.js", "else\n  debugger;"),
            ("a.py", "if x: breakpoint()"),
            ("a.py", "if x:\n    breakpoint()\ny()"),
            ("a.py", "    breakpoint()"),
            ("a.rb", "binding.pry if x"),
        ] {
            assert_eq!(fix(path, text), None, "{text}");
        }
        assert_eq!(fix("a.py", "if x:\n    breakpoint()\n    y()").as_deref(), Some(""), "the block is not left empty");
    }
}
