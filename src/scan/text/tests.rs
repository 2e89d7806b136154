//! Texts as values, friendly and hostile ones.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

#[test]
fn json_may_have_comments_and_commas_at_the_end() {
    let text = r#"{
        // a comment, with "quotes" and a }
        "a": "no // comment, /* here */ either \" // ,}", /* one
        over lines */ "b": [1, 2, /* last */ ],
        "c": {"d": 1,}, // end
    }"#;
    let expected = json!({"a": "no // comment, /* here */ either \" // ,}", "b": [1, 2], "c": {"d": 1}});
    assert_eq!(json(text).unwrap(), expected);
    assert_eq!(json("\u{feff}{}").unwrap(), json!({}));
    for wrong in ["", "{", "{\"a\": /* }", "{\"a\": \"", "[1 2]", "[,]\\", "\"\\", "/"] {
        assert!(json(wrong).is_err(), "{wrong}");
    }
    assert_eq!(json("{\n  // a\n  \"b\": oops\n}").unwrap_err(), "not valid JSON (line 3)");
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_without_its_text() {
    assert_eq!(toml("a = 1\nb = secret").unwrap_err(), "not valid TOML (line 2)");
    assert_eq!(xml("<a>\n<b></a>").unwrap_err(), "not valid XML (line 2)");
    let wrong = yaml("a: b\nc: [secret").unwrap_err();
    assert!(wrong.starts_with("not valid YAML, or too complex") && !wrong.contains("secret"), "{wrong}");
}

#[test]
fn yaml_that_people_write_is_read() {
    let text = "on:\n  push: &p {branches: [main]}\nagain: *p\nscript:\n  - !reference [.base, script]\n  - |\n    a\n    b\n\
                3.9: yes\nbase: &b {x: 1}\nmerged:\n  <<: *b\n  y: 2\n";
    let read = yaml(text).unwrap();
    assert_eq!(read["again"]["branches"][0], "main");
    assert_eq!(read["script"][1], "a\nb\n");
    assert_eq!(read["merged"]["x"], 1);
}

#[test]
fn deep_and_growing_texts_are_refused() {
    let deep = 100_000;
    assert!(json(&"[".repeat(deep)).is_err());
    assert!(json(&"{\"a\":".repeat(deep)).is_err());
    assert!(json(&"[/**/".repeat(deep)).is_err());
    assert!(toml(&format!("a = {}", "[".repeat(deep))).is_err());
    assert!(toml(&format!("a{} = 1", ".a".repeat(deep))).is_err());
    assert!(yaml(&"[".repeat(deep)).is_err());
    assert!(yaml(&"- ".repeat(deep)).is_err());
    assert!(yaml(&"a: ".repeat(deep)).is_err());
    assert!(yaml(&(0..1_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()).is_err());
    assert!(xml(&"<a>".repeat(deep)).is_err());
    assert!(xml("<!DOCTYPE a [<!ENTITY b \"b\">]><a>&b;</a>").is_err());
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{before}]\n"));
    }
    assert!(yaml(&bomb).is_err());
    let wide = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(60_000), "*a, ".repeat(30_000));
    assert!(yaml(&wide).is_err());
    let heavy = format!("a: &a \"{}\"\nb: [{}]", "x".repeat(100_000), "*a, ".repeat(900));
    assert!(yaml(&heavy).is_err());
    // Few events, much text: each alias of `c` is 1.8 MB, and enough anchors make so many aliases look honest.
    let decoys: String = (0..500).map(|n| format!("k{n}: &k{n} x\n")).collect();
    let long = "x".repeat(200_000);
    let slow = format!("{decoys}a: &a {long}\nb: &b [{}]\nc: [{}]", "*a, ".repeat(9), "*b, ".repeat(500));
    assert!(yaml(&slow).is_err());
    let fine = format!("{decoys}a: &a {}\nb: &b [{}]\nc: [{}]", &long[..9], "*a, ".repeat(9), "*b, ".repeat(500));
    assert!(yaml(&fine).is_ok());
}

#[test]
fn xml_whose_parts_have_to_be_compared_with_each_other_is_refused_before_that() {
    let nested = |n: usize| {
        let open: String = (0..n).map(|n| format!("<a xmlns:x{n}='u'>")).collect();
        open + &"</a>".repeat(n)
    };
    assert!(xml(&nested(MAX_NAMESPACES)).is_ok());
    assert_eq!(xml(&nested(MAX_NAMESPACES + 1)).unwrap_err(), "too complex");
    assert_eq!(xml(&nested(12_000)).unwrap_err(), "too complex");
    let wide = |n: usize, inside: &str| {
        let attributes: String = (0..n).map(|n| format!(" a{n} = \"'>\" b{n}='{inside}'")).collect();
        format!("<?xml version='1.0'?><!-- <a a='' --><a><![CDATA[<b b='' ]]><c{attributes}/></a>")
    };
    assert!(xml(&wide(MAX_ATTRIBUTES / 2, "\">")).is_ok());
    assert_eq!(xml(&wide(MAX_ATTRIBUTES / 2 + 1, "\">")).unwrap_err(), "too complex");
    assert_eq!(xml(&wide(12_000, "")).unwrap_err(), "too complex");
    // What only looks like attributes counts as none.
    let text = "x='y' ".repeat(1_000);
    assert!(xml(&format!("<a><!-- {text} -->{text}<![CDATA[<b {text}>]]></a>")).is_ok());
    for broken in ["<", "<a '", "<a \"'", "<!--", "<![CDATA[", "<?", "<a b='<<<<", "<<<<", "a"] {
        assert!(xml(broken).is_err(), "{broken}");
    }
}

#[test]
fn xml_may_be_as_deep_as_it_wants() {
    let deep = format!("{}{}", "<a>".repeat(30_000), "</a>".repeat(30_000));
    assert_eq!(xml(&deep).unwrap().descendants().filter(roxmltree::Node::is_element).count(), 30_000);
}

#[test]
fn what_is_shown_is_short_and_plain() {
    assert_eq!(shown("  a\u{7}b\n\tc\u{202e}d\u{200b} "), "a b cd");
    assert_eq!(shown(""), "");
    let long = shown(&"é".repeat(500));
    assert_eq!(long.chars().count(), 120);
    assert!(long.ends_with('…'));
    assert_eq!(shown(&"a".repeat(120)), "a".repeat(120));
}
