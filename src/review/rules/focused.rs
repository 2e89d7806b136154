//! `focused-test`: one test marked as the only one to run, so that all the others silently do not.

use std::{ops::Range, sync::LazyLock};

use regex::Regex;

use super::{
    Change, Fix, Hit,
    code::{self, CodeLine, Lang},
    pattern,
};
use crate::domain::{diff::LineKind, review::Severity};

// In each pattern `shown` is what the author recognises, and `cut` what a correction takes away.
static ONLY: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[^.\w$])(?P<shown>(?:describe|it|test|context|suite)(?:\.[a-z]\w*)*(?P<cut>\.only))\s*(?:\(|`|\.[a-z]|$)",
    )
});
static ONLY_ALONE: LazyLock<Regex> = LazyLock::new(|| pattern(r"^\s*(\.only)\s*\("));
static BEFORE_ONLY: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:^|[^.\w$])(?:describe|it|test|context|suite)(?:\.[a-z]\w*)*\s*$"));
static JASMINE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r#"(?:^|[^.\w$])(?P<shown>(?P<cut>f)(?:describe|context|it))\s*\(\s*(?:["'`]|$)"#));
static DEFINED: LazyLock<Regex> = LazyLock::new(|| pattern(r"\bfunction f(?:describe|context|it)\b"));
static GINKGO: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:^|[^.\w]|\bginkgo\.)(?P<shown>(?P<cut>F)(?:It|Describe|Context|When|Specify|Entry|DescribeTable|DescribeTableSubtree))\(",
    )
});
static RSPEC: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r#"^\s*(?:RSpec\.)?(?P<shown>(?P<cut>f)(?:it|describe|context|specify|example|feature|scenario))(?:\s*\(|\s+["':A-Z]|\s+do\b|\s*\{)"#,
    )
});
static RSPEC_FOCUS: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^\s*(?:RSpec\.)?(?:it|describe|context|specify|example|feature|scenario)\b.*?(?P<cut>,\s*(?P<shown>focus:\s*true|:focus\s*=>\s*true|:focus))\s*(?:,|\)|do\b|\{|$)",
    )
});

pub(super) fn check(change: &Change<'_>) -> Vec<Hit> {
    let Some(lang) = Lang::of(&change.extension()) else { return Vec::new() };
    let name = change.path.rsplit('/').next().unwrap_or(change.path);
    let (hints, wanted): (&[&str], bool) = match lang {
        Lang::Script => (&[".only", "fdescribe", "fcontext", "fit"], change.place.test),
        Lang::Go => (&["FIt", "FDescribe", "FContext", "FWhen", "FSpecify", "FEntry"], name.ends_with("_test.go")),
        Lang::Ruby => (
            &["fit", "fdescribe", "fcontext", "fspecify", "fexample", "ffeature", "fscenario", "focus"],
            name.ends_with("_spec.rb"),
        ),
        Lang::Rust | Lang::Python => return Vec::new(),
    };
    if !wanted || !change.mentions(hints) {
        return Vec::new();
    }
    let mut hits = Vec::new();
    for hunk in &change.patch.hunks {
        let lines = code::lines(hunk, lang);
        for (at, here) in lines.iter().enumerate().filter(|(_, here)| here.line.kind == LineKind::Added) {
            let Some(focus) = focus(lang, &lines, at) else { continue };
            hits.push(Hit {
                severity: Severity::Block,
                line: here.number,
                message: format!(
                    "`{}` makes this the only test that runs here: the others are skipped and nothing says so. Remove the focus \
                     before merging.",
                    focus.shown
                ),
                fix: focus.cut.map(|cut| {
                    let text = here.line.text;
                    Fix::replace(text, [&text[..cut.start], &text[cut.end..]].concat())
                }),
                key: None,
            });
        }
    }
    hits
}

struct Focus {
    shown: String,
    /// What to take away, if that is all there is to do.
    cut: Option<Range<usize>>,
}

fn focus(lang: Lang, lines: &[CodeLine<'_>], at: usize) -> Option<Focus> {
    let code = lines.get(at)?.code.as_str();
    let patterns: &[&Regex] = match lang {
        Lang::Script if DEFINED.is_match(code) => &[&ONLY],
        Lang::Script => &[&ONLY, &JASMINE],
        Lang::Go if code.trim_start().starts_with("func ") => return None,
        Lang::Go => &[&GINKGO],
        Lang::Ruby => &[&RSPEC, &RSPEC_FOCUS],
        Lang::Rust | Lang::Python => return None,
    };
    for pattern in patterns {
        let mut found = pattern.captures_iter(code);
        if let Some(first) = found.next() {
            // With two on one line, one correction would leave the other.
            let alone = found.next().is_none();
            let shown = first.name("shown")?.as_str().split_whitespace().collect::<Vec<_>>().join(" ");
            let cut = first.name("cut").filter(|_| alone).map(|cut| cut.range());
            return Some(Focus { shown, cut });
        }
    }
    let above = lines[..at].iter().rev().map(|line| line.code.trim_end()).find(|code| !code.is_empty());
    let split =
        lang == Lang::Script && ONLY_ALONE.is_match(code) && above.is_some_and(|above| BEFORE_ONLY.is_match(above));
    split.then(|| Focus { shown: ".only".to_owned(), cut: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::rules::testing::{NONE, adding, fixed, hits, lines};

    fn at(path: &str, text: &str) -> Vec<u32> {
        lines("focused-test", path, text)
    }

    #[test]
    fn a_focused_test_blocks_and_its_correction_is_exact() {
        for (path, text, expected) in [
            ("a.test.js", "describe.only('a', () => {", "describe('a', () => {"),
            ("src/__tests__/a.ts", "  it.only(\"a\", async () => {", "  it(\"a\", async () => {"),
            ("test/a.js", "test.only(`a`, t => {", "test(`a`, t => {"),
            ("a.spec.ts", "it.only.each([1])('a', () => {", "it.each([1])('a', () => {"),
            ("a.spec.ts", "test.describe.only('a', () => {", "test.describe('a', () => {"),
            ("a.spec.ts", "test.concurrent.only('a', () => {", "test.concurrent('a', () => {"),
            ("a.spec.ts", "suite.only('a', () => {", "suite('a', () => {"),
            ("a.spec.ts", "describe.only", "describe"),
            ("a.spec.ts", "fdescribe('a', () => {", "describe('a', () => {"),
            ("a.spec.ts", "  fit('a', () => {", "  it('a', () => {"),
            ("a.spec.ts", "fcontext(\"a\", function () {", "context(\"a\", function () {"),
            ("a_test.go", "\tFIt(\"a\", func() {", "\tIt(\"a\", func() {"),
            ("a_test.go", "var _ = FDescribe(\"a\", func() {", "var _ = Describe(\"a\", func() {"),
            ("a_test.go", "\tFEntry(\"a\", 1),", "\tEntry(\"a\", 1),"),
            ("a_test.go", "ginkgo.FDescribeTable(\"a\",", "ginkgo.DescribeTable(\"a\","),
            ("spec/a_spec.rb", "  fit \"a\" do", "  it \"a\" do"),
            ("spec/a_spec.rb", "fdescribe User do", "describe User do"),
            ("spec/a_spec.rb", "RSpec.fdescribe \"a\" do", "RSpec.describe \"a\" do"),
            ("spec/a_spec.rb", "it \"a\", focus: true do", "it \"a\" do"),
            ("spec/a_spec.rb", "describe User, :focus do", "describe User do"),
            ("spec/a_spec.rb", "it \"a\", :focus => true, slow: true do", "it \"a\", slow: true do"),
        ] {
            assert_eq!(fixed("focused-test", path, text).as_deref(), Some(expected), "{text}");
            assert_eq!(hits("focused-test", path, &adding(text))[0].severity, Severity::Block);
        }
    }

    #[test]
    fn a_focus_on_the_next_line_counts_without_a_correction() {
        assert_eq!(at("a.test.js", "describe\n  .only('a', () => {"), [2]);
        assert_eq!(fixed("focused-test", "a.test.js", "test.concurrent\n  .only('a', () => {"), None);
        assert_eq!(at("a.test.js", "query\n  .only('a')"), NONE);
    }

    #[test]
    fn two_on_one_line_have_no_correction() {
        assert_eq!(fixed("focused-test", "a.test.js", "describe.only('a', () => { it.only('b', () => {"), None);
    }

    #[test]
    fn what_only_looks_like_a_focus_is_left_alone() {
        for (path, text) in [
            ("a.test.js", "describe('a'); it('b'); test('c')"),
            ("a.test.js", "// it.only('a')"),
            ("a.test.js", "const a = \"describe.only('a')\""),
            ("a.test.js", "`\nit.only('a')\n`"),
            ("a.test.js", "model.fit('a'); query.only('b'); benefit('c'); orbit.only('d'); it.onlyIf('e')"),
            ("a.test.js", "fit(data)"),
            ("a.test.js", "function fit('a') {}"),
            ("a.test.js", "expect(it.only).toBe(1)"),
            ("a_test.go", "It(\"a\", func() {"),
            ("a_test.go", "func FIt(x string) {"),
            ("a_test.go", "pkg.FIt(\"a\")"),
            ("a_test.go", "// FIt(\"a\")"),
            ("spec/a_spec.rb", "# fit \"a\" do"),
            ("spec/a_spec.rb", "fitness \"a\""),
            ("spec/a_spec.rb", "expect(page).to have_field(focus: true)"),
            ("spec/a_spec.rb", "it \"a\", focus: false do"),
            ("spec/a_spec.rb", "it \"sets focus: true\" do"),
        ] {
            assert_eq!(at(path, text), NONE, "{path}: {text}");
        }
    }

    #[test]
    fn only_test_files_are_looked_at() {
        for path in ["src/a.js", "a.go", "lib/a.rb", "spec/spec_helper.rb", "docs/testing.md", "src/a.rs", "tests/a.py"]
        {
            assert_eq!(at(path, "it.only('a', () => {\nFIt(\"a\")\nfit 'a' do"), NONE, "{path}");
        }
    }
}
