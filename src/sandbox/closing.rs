//! The sandbox's own small reading of which issues a text closes, so that it does not repeat the reader's mistakes.

/// Issues that `text` closes, in order: repository (none: its own) and number.
pub fn closing(text: &str) -> Vec<(Option<String>, i64)> {
    const WORDS: [&str; 9] = ["close", "closes", "closed", "fix", "fixes", "fixed", "resolve", "resolves", "resolved"];
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    for pair in words.windows(2) {
        let keyword = pair[0].trim_start_matches('(').trim_end_matches(':').to_ascii_lowercase();
        let named = pair[1].trim_end_matches(['.', ',', ';', ':', '!', ')']);
        let Some((repo, number)) = named.split_once('#').filter(|_| WORDS.contains(&keyword.as_str())) else {
            continue;
        };
        let repo = (!repo.is_empty()).then(|| repo.to_owned());
        if let Ok(number) = number.parse::<i64>()
            && !found.contains(&(repo.clone(), number))
        {
            found.push((repo, number));
        }
    }
    found
}
