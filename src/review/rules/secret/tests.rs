//! Values are put together at run time, so that nothing in this repository looks like a secret.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::review::rules::testing::{NONE, adding, hits, lines};

/// `length` characters of `alphabet` that look random and are the same on every run.
fn random(alphabet: &str, length: usize) -> String {
    let alphabet: Vec<char> = alphabet.chars().collect();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            alphabet[(state >> 33) as usize % alphabet.len()]
        })
        .collect()
}

const WORD: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DIGITS: &str = "0123456789";
const AGE: &str = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";

/// The provider's name in a message, and a value of its format.
fn samples() -> Vec<(&'static str, String)> {
    let word = |length| random(WORD, length);
    let hex = |length| random(HEX, length);
    vec![
        ("AWS", ["AK", "IA", &random(UPPER, 16)].concat()),
        ("AWS", ["AS", "IA", &random(UPPER, 16)].concat()),
        ("GitHub token", ["gh", "p_", &word(36)].concat()),
        ("GitHub token", ["gh", "s_", &word(36)].concat()),
        ("fine-grained", ["github", "_pat_", &word(22), "_", &word(59)].concat()),
        ("GitLab", ["gl", "pat-", &word(20)].concat()),
        ("GitLab", ["gl", "pat-", &word(27), ".01.", &random("0123456789abcdefghijklmnopqrstuvwxyz", 9)].concat()),
        ("Slack token", ["xo", "xb-", &random(DIGITS, 12), "-", &random(DIGITS, 13), "-", &word(24)].concat()),
        ("Slack app", ["xa", "pp-1-", &random(UPPER, 11), "-", &random(DIGITS, 13), "-", &hex(64)].concat()),
        (
            "Slack webhook",
            ["hooks.slack", ".com/services/T", &random(UPPER, 8), "/B", &random(UPPER, 10), "/", &word(24)].concat(),
        ),
        ("Stripe", ["sk_", "live_", &word(24)].concat()),
        ("Stripe", ["rk_", "live_", &word(99)].concat()),
        ("Google OAuth", ["GOC", "SPX-", &word(28)].concat()),
        ("OpenAI", ["s", "k-", &word(20), "T3Blbk", "FJ", &word(20)].concat()),
        ("OpenAI", ["s", "k-proj-", &word(60), "T3Blbk", "FJ", &word(60)].concat()),
        ("Anthropic", ["sk-", "ant-api03-", &word(93), "AA"].concat()),
        ("npm", ["np", "m_", &word(36)].concat()),
        ("PyPI", ["py", "pi-AgEI", "cHlwaS5vcmc", &word(130)].concat()),
        ("crates.io", ["ci", "o", &word(32)].concat()),
        ("RubyGems", ["ruby", "gems_", &hex(48)].concat()),
        ("SendGrid", ["S", "G.", &word(22), ".", &random(&format!("{WORD}_-"), 42), "a"].concat()),
        ("Twilio", ["S", "K", &hex(32)].concat()),
        ("Shopify", ["shp", "at_", &hex(32)].concat()),
        ("DigitalOcean", ["dop", "_v1_", &hex(64)].concat()),
        ("Hugging Face", ["h", "f_", &word(34)].concat()),
        ("Telegram", [&random(DIGITS, 10), ":A", "A", &word(33)].concat()),
        ("Azure", ["Account", "Key=", &word(86), "=="].concat()),
        ("Heroku", ["HR", "KU-AA", &word(58)].concat()),
        ("Vault", ["hv", "s.", &word(95)].concat()),
        ("Docker", ["dckr", "_pat_", &word(27)].concat()),
        ("Linear", ["lin", "_api_", &word(40)].concat()),
        ("Databricks", ["da", "pi", &hex(32)].concat()),
        ("Grafana", ["gl", "sa_", &word(32), "_", &hex(8)].concat()),
        ("age", ["AGE-SECRET", "-KEY-1", &random(AGE, 58)].concat()),
        ("Discord", ["discord", ".com/api/webhooks/", &random(DIGITS, 18), "/", &word(68)].concat()),
        ("Postman", ["PM", "AK-", &hex(24), "-", &hex(34)].concat()),
        ("Notion", ["nt", "n_", &word(46)].concat()),
        ("New Relic", ["NR", "AK-", &random("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 27)].concat()),
        ("Doppler", ["dp", ".pt.", &word(43)].concat()),
        ("Pulumi", ["pu", "l-", &hex(40)].concat()),
        ("Figma", ["fi", "gd_", &word(40)].concat()),
    ]
}

fn token() -> String {
    ["gh", "p_", &random(WORD, 36)].concat()
}

fn private_key() -> String {
    format!(
        "{}\n{}\n{}\n-----END PRIVATE KEY-----",
        ["-----BEGIN PRIV", "ATE KEY-----"].concat(),
        random(WORD, 64),
        random(WORD, 64)
    )
}

fn found(path: &str, text: &str) -> Vec<u32> {
    lines("secret", path, text)
}

#[test]
fn every_format_is_found_wherever_it_stands_and_never_repeated() {
    assert!(FORMATS.len() >= 20);
    let samples = samples();
    for (name, value) in &samples {
        for text in [
            format!("key = \"{value}\""),
            format!("KEY={value}"),
            format!("x\n  - {value}\n"),
            format!("({value}, {value})"),
        ] {
            let hits = hits("secret", "src/config.py", &adding(&text));
            assert_eq!(hits.len(), 1, "{name}: {text}");
            assert_eq!(hits[0].severity, Severity::Block);
            assert!(hits[0].message.contains(name), "{name}: {}", hits[0].message);
            assert!(!format!("{:?}", hits[0]).contains(&value[6..16]), "{name} is repeated");
        }
    }
    for format in &FORMATS {
        assert!(samples.iter().any(|(_, value)| !format.find(value).is_empty()), "no sample of {}", format.name);
    }
}

#[test]
fn the_length_is_exact() {
    let aws = ["AK", "IA", &random(UPPER, 16)].concat();
    for text in [format!("{aws}A"), format!("x{aws}"), aws[..19].to_owned(), format!("{aws}_"), format!("_{aws}")] {
        assert_eq!(found("a.py", &text), NONE, "{text}");
    }
    assert_eq!(found("a.py", &token()[..39]), NONE);
}

#[test]
fn placeholders_are_not_secrets() {
    let shape = |middle: &str| format!("key = \"{}{middle}\"", ["gh", "p_"].concat());
    for text in [
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE".to_owned(),
        shape(&"x".repeat(36)),
        shape(&"0".repeat(36)),
        shape("YOUR_TOKEN"),
        shape("<token>"),
        shape("${TOKEN}"),
        shape("{{ token }}"),
        shape(&format!("{}Placeholder0", random(WORD, 24))),
        shape(&format!("fake{}", random(WORD, 32))),
        format!("{}{}", ["sk_", "live_"].concat(), "abababababababababababab"),
        format!("{}T00000000/B00000000/{}", ["hooks.slack", ".com/services/"].concat(), "X".repeat(24)),
    ] {
        assert_eq!(found("a.py", &text), NONE, "{text}");
    }
}

#[test]
fn public_and_test_mode_keys_are_left_alone() {
    for text in [
        ["AI", "za", &random(WORD, 35)].concat(),
        ["pk_", "live_", &random(WORD, 24)].concat(),
        ["sk_", "test_", &random(WORD, 24)].concat(),
        "class cioSomethingWithAVeryLongNameIndeed1 {}".to_owned(),
        format!("sha256:{}", random(HEX, 64)),
    ] {
        assert_eq!(found("a.py", &text), NONE, "{text}");
    }
}

#[test]
fn a_value_that_was_there_before_is_not_this_changes_doing() {
    let token = token();
    assert_eq!(hits("secret", "a.py", &format!("@@ -1 +1 @@\n-a = '{token}'\n+b = '{token}'")), []);
    assert_eq!(hits("secret", "a.py", &format!("@@ -1 +1,2 @@\n a = '{token}'\n+b = '{token}'")), []);
    assert_eq!(hits("secret", "a.py", &format!("@@ -1 +0,0 @@\n-a = '{token}'")), [], "removing one is not a finding");
    let key = private_key();
    let moved = format!("@@ -1,4 +1,4 @@\n-{}\n+{}", key.replace('\n', "\n-"), key.replace('\n', "\n+"));
    assert_eq!(hits("secret", "a.pem", &moved), []);
}

#[test]
fn one_value_is_told_once() {
    let token = token();
    assert_eq!(found("a.py", &format!("a = '{token}'\nb = '{token}'")), [1]);
}

#[test]
fn documentation_and_examples_weigh_less() {
    let text = adding(&token());
    let severity = |path| hits("secret", path, &text)[0].severity;
    assert_eq!(severity("README.md"), Severity::Warn);
    assert_eq!(severity("examples/a.py"), Severity::Warn);
    assert_eq!(severity(".env"), Severity::Block);
    assert_eq!(severity("tests/a.py"), Severity::Block, "lowered once, by the engine");
}

#[test]
fn a_private_key_is_found_with_its_material_only() {
    let key = private_key();
    assert_eq!(found("deploy/id", &format!("# deploy\n{key}")), [2]);
    assert_eq!(
        found("key.json", &format!("\"private_key\": \"{}\",", key.replace('\n', "\\n"))),
        [1],
        "a service account"
    );
    assert_eq!(
        found("id_rsa", &key.replacen("PRIVATE", "RSA PRIVATE", 1).replacen('\n', "\nProc-Type: 4\n\n", 1)),
        [1]
    );
    let header = key.lines().next().unwrap();
    assert_eq!(found("a.rs", &format!("if text.starts_with(\"{header}\") {{\n    return;\n}}")), NONE);
    assert_eq!(found("a.pem", &key.replace("PRIVATE", "PUBLIC")), NONE);
    assert_eq!(found("a.pem", &format!("{header}\n{}\n", "x".repeat(64))), NONE);
    assert_eq!(hits("secret", "tests/a.pem", &adding(&key))[0].severity, Severity::Warn);
}

#[test]
fn everything_that_looks_like_a_secret_is_taken_out() {
    for (name, value) in samples() {
        assert_eq!(redact(&format!("é `{value}` {value}.")), format!("é `{REDACTED}` {REDACTED}."), "{name}");
    }
    assert_eq!(redact(&format!("a {} b", private_key())), format!("a {REDACTED} b"));
    let open = private_key();
    assert_eq!(redact(&open[..open.len() - 20]), REDACTED, "cut off before its footer");
    assert!(matches!(redact("nothing here, SK and hf_ and cio"), Cow::Borrowed(_)));
}

#[test]
fn entropy_is_measured_in_bits_per_character() {
    assert_eq!(bits(""), 0.0);
    assert_eq!(bits("aaaa"), 0.0);
    assert_eq!(bits("abab"), 1.0);
    assert_eq!(bits(HEX), 4.0);
}
