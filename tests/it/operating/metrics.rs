//! What is watched: every metric that is counted is listed, documented and there to be read, and the alerts are about metrics that exist.

use super::manifests::yaml;
use crate::support::app::{CHANNEL, TestApp, export};
use crate::support::db::TestDatabase;
use countersign::http::metrics::{Kind, METRICS};
use regex::Regex;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn whatever_is_counted_is_listed_and_the_other_way_round() {
    let mut files = Vec::new();
    sources(&root().join("src"), &mut files);
    let counted = Regex::new(r#"(?s)(counter|gauge|histogram)!\(\s*"([a-z_]+)"(.*?)\)\s*\.(?:increment|decrement|record|set)\("#).unwrap();
    let label = Regex::new(r#""([a-z]+)" =>"#).unwrap();
    let mut found = BTreeSet::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        for one in counted.captures_iter(&text) {
            let labels: Vec<String> = label.captures_iter(&one[3]).map(|label| label[1].to_owned()).collect();
            found.insert((one[2].to_owned(), one[1].to_owned(), labels));
        }
    }
    let listed: BTreeSet<_> = METRICS
        .iter()
        .map(|metric| {
            (
                metric.name.to_owned(),
                format!("{:?}", metric.kind).to_lowercase(),
                metric.labels.iter().map(|label| (*label).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(found, listed);
}

#[test]
fn the_reference_has_each_metric_as_it_is() {
    let page = std::fs::read_to_string(root().join("docs/reference/metrics.md")).unwrap();
    let lines: Vec<&str> = page.lines().filter(|line| line.starts_with("| `countersign_")).collect();
    let listed: Vec<String> = METRICS
        .iter()
        .map(|metric| {
            let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{}` | {} | {} | {} |", metric.name, format!("{:?}", metric.kind).to_lowercase(), labels.join(", "), metric.help)
        })
        .collect();
    assert_eq!(lines, listed);
}

#[test]
fn every_alert_is_about_metrics_that_exist() {
    let mut exist: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    for metric in METRICS.iter().filter(|metric| metric.kind == Kind::Histogram) {
        exist.extend(["bucket", "sum", "count"].map(|part| format!("{}_{part}", metric.name)));
    }
    let name = Regex::new("countersign_[a-z_]+").unwrap();
    let rules = &yaml("manifests/prometheus/alerts.yaml")[0]["groups"][0]["rules"];
    let rules = rules.as_vec().unwrap();
    assert!(rules.len() >= 5);
    for rule in rules {
        let (alert, expr) = (rule["alert"].as_str().unwrap(), rule["expr"].as_str().unwrap());
        for named in name.find_iter(expr) {
            assert!(exist.contains(named.as_str()), "{alert}: {}", named.as_str());
        }
        assert!(rule["annotations"]["summary"].as_str().is_some() && rule["annotations"]["description"].as_str().is_some(), "{alert}");
        assert!(["page", "ticket"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_works_exports_what_it_counts() {
    use tower::ServiceExt as _;
    let app = TestApp::start(TestDatabase::sqlite().await).await;
    let mine = app.client("agent").asks(&export()).await;
    app.slack.until("a card", |model| model.channels[CHANNEL].messages.first().cloned()).await;
    app.person("bob@example.com").await.reviews(&mine, "approve").await.expect(201);
    app.stranger().get("/v1/requests").await.problem(401, "unauthorized");
    let read = async || {
        let router = countersign::http::metrics_router(app.running.app.clone());
        let call = axum::http::Request::get("/metrics").body(axum::body::Body::empty()).unwrap();
        let answer = router.oneshot(call).await.unwrap();
        String::from_utf8(axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    };
    app.eventually("the delivery is counted", async || read().await.contains("countersign_deliveries_total{")).await;
    let text = read().await;
    for metric in METRICS {
        // A series with labels is there once something happened.
        let wanted = metric.labels.is_empty() || ["countersign_http_seconds", "countersign_deliveries_total"].contains(&metric.name);
        let kind = format!("# TYPE {} {}", metric.name, format!("{:?}", metric.kind).to_lowercase());
        assert!(!wanted || text.contains(&kind), "{kind} is missing:\n{text}");
        assert!(!wanted || text.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{}", metric.name);
    }
    assert!(text.contains("countersign_store_commit_seconds_bucket{le=\"0.01\"}"), "{text}");
    let named = Regex::new("(?m)^(countersign_[a-z_]+?)(_bucket|_sum|_count)?[ {]").unwrap();
    for one in named.captures_iter(&text) {
        assert!(METRICS.iter().any(|metric| metric.name == &one[1]), "{} is not listed", &one[1]);
    }
    app.finish().await;
}
