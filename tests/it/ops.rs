//! What operators are given fits the nectr it is for: alerts and dashboard ask for what `/metrics` has, compose.yaml sets
//! what is read.

use std::collections::{BTreeMap, BTreeSet};

use nectr::{
    config::{SETTINGS, setting},
    sandbox::{Failure, http::Request},
};
use serde_json::Value;

use crate::support::{SHOP, T, hours, nectr};

const RULES: &str = include_str!("../../ops/prometheus-rules.yml");
const DASHBOARD: &str = include_str!("../../ops/grafana-dashboard.json");
const FILES: &str = "GET /repos/*/*/pulls/*/files";
/// Labels that Prometheus adds to whatever it scrapes.
const OF_THE_TARGET: [&str; 2] = ["job", "instance"];

/// Series names, their labels, and the values these had.
type Scrape = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// Each label and its value in `inside`, as in `status="202",source=~"a|b"`.
fn labels(inside: &str) -> Vec<(String, String)> {
    let label = regex::Regex::new(r#"([a-z_]+)\s*(?:=~|!~|!=|=)\s*"([^"]*)""#).unwrap();
    label.captures_iter(inside).map(|found| (found[1].to_owned(), found[2].to_owned())).collect()
}

fn read(text: &str) -> Scrape {
    let mut scrape = Scrape::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').unwrap().0;
        let (name, inside) = series.split_once('{').unwrap_or((series, ""));
        let known = scrape.entry(name.to_owned()).or_default();
        for (label, value) in labels(inside) {
            known.entry(label).or_default().insert(value);
        }
    }
    scrape
}

/// What is wrong with a query: names and labels that nectr does not have, values it never gives.
fn problems(query: &str, scrape: &Scrape) -> Vec<String> {
    let series = regex::Regex::new(r"\b((?:nectr|process)_[a-z0-9_]+)(?:\{([^}]*)\})?").unwrap();
    let grouping = regex::Regex::new(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)").unwrap();
    let mut wrong = Vec::new();
    let mut there: BTreeSet<_> = OF_THE_TARGET.into_iter().collect();
    for found in series.captures_iter(query) {
        let Some(known) = scrape.get(&found[1]) else {
            wrong.push(format!("there is no {}", &found[1]));
            continue;
        };
        there.extend(known.keys().map(String::as_str));
        for (label, value) in labels(found.get(2).map_or("", |inside| inside.as_str())) {
            let Some(values) = known.get(&label) else {
                if !OF_THE_TARGET.contains(&label.as_str()) {
                    wrong.push(format!("{} has no label {label}", &found[1]));
                }
                continue;
            };
            for value in value.split('|').filter(|value| !values.contains(*value)) {
                wrong.push(format!("{}: {label} is never {value}", &found[1]));
            }
        }
    }
    for found in grouping.captures_iter(query) {
        for label in found[1].split(',').map(str::trim).filter(|label| !there.contains(label)) {
            wrong.push(format!("nothing in it has a label {label}"));
        }
    }
    wrong
}

/// Everything below `value` that is a query.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(query) if name == "expr" => found.push(query.to_owned()),
                    _ => queries(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| queries(item, found)),
        _ => {}
    }
}

/// A day on which everything happens that can be counted: every answer to a delivery that is watched, and every way in
/// which work and requests to GitHub end.
async fn an_eventful_day(t: &T) {
    let octavia = t.connected().await;
    t.deliver().await;
    let pr = t.open_pull(|pr| pr.adds("src/price.rs", "fn price() {}\n"));
    t.deliver().await;
    let status = |status: u16| Failure::Status(status, "{}".into());
    for failure in [status(502), status(418), Failure::CutBefore] {
        t.github.fail_next(FILES, failure);
        t.work().await;
        t.pass(hours(1));
    }
    t.work().await;
    t.take_review(pr);
    octavia.see(&format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number)).await;
    octavia.see(&format!("/api/v1/repos/{SHOP}/pulls/{}/state", pr.number)).await;

    let unsigned = Request::new(http::Method::POST, format!("{}/api/v1/webhooks/github", t.url))
        .header("Content-Type", "application/json")
        .header("X-GitHub-Event", "push")
        .header("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958");
    assert_eq!(unsigned.send().await.unwrap().status, 401);
}

#[tokio::test]
async fn alerts_and_dashboard_ask_for_what_nectr_tells() {
    let rules: Value = serde_saphyr::from_str(RULES).unwrap();
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let mut asked = Vec::new();
    queries(&rules, &mut asked);
    let alerts = asked.len();
    queries(&dashboard, &mut asked);
    assert!(alerts >= 10 && asked.len() >= alerts + 15, "{alerts} alerts, {} queries", asked.len());

    nectr(async |t| {
        an_eventful_day(t).await;
        let text = Request::get(format!("{}/metrics", t.url)).send().await.unwrap().text();
        let mut scrape = read(&text);
        // No story here takes the database away; see `intake` for one that does.
        scrape.get_mut("nectr_deliveries_received_total").unwrap().get_mut("status").unwrap().insert("503".into());
        for query in &asked {
            // The dashboard's variables stand for values, and for a length of time.
            let query = query.replace("$job", "nectr").replace("$__rate_interval", "5m");
            let wrong = problems(&query, &scrape);
            assert!(wrong.is_empty(), "{query}\n{wrong:#?}\n{text}");
        }
    })
    .await;
}

#[tokio::test]
async fn every_alert_says_what_to_do_and_is_tested() {
    let rules: Value = serde_saphyr::from_str(RULES).unwrap();
    let tests = include_str!("../../ops/prometheus-rules.test.yml");
    for rule in rules["groups"][0]["rules"].as_array().unwrap() {
        let name = rule["alert"].as_str().unwrap();
        assert!(rule["annotations"]["summary"].is_string() && rule["annotations"]["description"].is_string(), "{name}");
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{name}");
        assert!(tests.contains(&format!("alertname=\"{name}\"")), "{name} has no test");
    }
}

#[test]
fn a_query_for_what_is_not_there_is_noticed() {
    let scrape = read("# HELP x\nnectr_work_total{source=\"task\",result=\"completed\"} 3\nnectr_uptime_seconds 2\n");
    let wrong = |query: &str| problems(query, &scrape);
    assert!(wrong("sum by (job, result) (rate(nectr_work_total{source=~\"task\"}[5m]))").is_empty());
    assert_eq!(wrong("nectr_jobs_total"), ["there is no nectr_jobs_total"]);
    assert_eq!(wrong("nectr_uptime_seconds{source=\"task\"}"), ["nectr_uptime_seconds has no label source"]);
    assert_eq!(wrong("nectr_work_total{source=~\"task|chore\"}"), ["nectr_work_total: source is never chore"]);
    assert_eq!(wrong("sum by (repo) (nectr_work_total)"), ["nothing in it has a label repo"]);
}

#[test]
fn compose_sets_what_nectr_reads_and_every_secret_comes_from_a_file_that_is_made() {
    let compose: Value = serde_saphyr::from_str(include_str!("../../compose.yaml")).unwrap();
    let maker = include_str!("../../ops/make-secrets");
    let service = &compose["services"]["nectr"];
    let known = |name: &str| {
        SETTINGS.iter().any(|setting| setting.name == name || setting.file.is_some_and(|(file, _)| file == name))
    };
    let environment = service["environment"].as_object().unwrap();
    for (name, value) in environment {
        assert!(known(name), "nectr knows no {name}");
        assert!(!setting(name).is_some_and(|setting| setting.secret()), "{name} does not come from a file");
        if let Some(file) = value.as_str().unwrap().strip_prefix("/run/secrets/") {
            assert!(service["secrets"].as_array().unwrap().contains(&file.into()), "{file} is not given to nectr");
        }
    }
    for setting in SETTINGS.iter().filter(|setting| setting.required_in_production) {
        let (file, _) = setting.file.unwrap();
        assert!(environment.contains_key(file), "{file} is required in production");
    }
    for (name, secret) in compose["secrets"].as_object().unwrap() {
        assert_eq!(secret["file"], format!("secrets/{name}"));
        let made = ["make", "ask"].iter().any(|verb| maker.contains(&format!("\n{verb} {name} ")));
        assert!(made, "nobody makes {name}");
    }
}
