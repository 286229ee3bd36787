//! Owns the comparison with the targets of `bench/README.md`.

use serde_json::{Value, json};

/// One row per target that this run can judge: what, the figure, the target, and whether it is met.
pub fn verdicts(scenarios: &Value) -> Value {
    let mut rows = Vec::new();
    let fsync = |name: &str| scenarios[name]["probes"]["fsync"]["p50_ms"].as_f64().unwrap_or(f64::NAN);
    let mut judge = |what: &str, figure: &Value, at_least: bool, target: f64| {
        if let Some(figure) = figure.as_f64() {
            let met = if at_least { figure >= target } else { figure <= target };
            let target = (target * 1_000.0).round() / 1_000.0;
            rows.push(json!({"what": what, "figure": figure, "target": target, "at_least": at_least, "met": met}));
        }
    };
    let (a, b, c, d, e, taps) = (&scenarios["a"], &scenarios["b"], &scenarios["c"], &scenarios["d"], &scenarios["e"], &scenarios["taps"]);
    judge("A share of the echo", &a["share_of_echo"], true, 0.4);
    judge("A share of the echo, signature taken off", &a["share_of_echo_without_signature"], true, 0.4);
    judge("A server CPU over the echo's", &a["cpu_over_echo"], false, 2.5);
    judge("A server CPU over the echo's, signature taken off", &a["cpu_over_echo_without_signature"], false, 2.5);
    judge("A one connection, p50 ms", &a["one_connection_p50_ms"], false, 2.0 * fsync("a") + 0.25);
    judge("A 64 connections, p99 ms", &a["rounds"][0]["connections_64"]["p99_ms"], false, 6.0);
    judge("B share of the echo", &b["share_of_echo"], true, 0.3);
    judge("C times Bolt on Node", &c["times_bolt_node"], true, 3.0);
    judge("C times Bolt for Python", &c["times_bolt_python"], true, 10.0);
    judge("C 64 connections, p99 ms", &c["p99_ms"], false, if fsync("c") < 1.0 { 15.0 } else { 100.0 });
    judge("D 16 callers, p50 ms", &d["callers_16"]["all_at_once"]["p50_ms"], false, 4.0 * fsync("d") + 0.8);
    judge("D 16 callers, p99 ms", &d["callers_16"]["all_at_once"]["p99_ms"], false, 6.0);
    judge("D 256 callers, p99 ms", &d["callers_256"]["all_at_once"]["p99_ms"], false, 20.0);
    judge("E KiB per waiting caller", &e["one_request_each"]["kib_per_caller"], false, 10.0);
    judge("E all woken, s", &e["all_for_one_request"]["all_answered_s"], false, 1.0);
    judge("Taps with a slow Slack, p99 ms", &taps["over_5_s_from_intended_start"]["p99_ms"], false, 500.0);
    judge("Taps with a slow Slack, all at once, p99 ms", &taps["all_at_once"]["p99_ms"], false, 500.0);
    Value::Array(rows)
}

/// The rows as a table of Markdown.
pub fn print(verdicts: &Value) {
    println!("| | figure | target | |\n|---|---|---|---|");
    for row in verdicts.as_array().into_iter().flatten() {
        let sign = if row["at_least"] == true { "≥" } else { "≤" };
        let met = if row["met"] == true { "met" } else { "missed" };
        println!("| {} | {} | {sign} {} | {met} |", row["what"].as_str().unwrap_or_default(), row["figure"], row["target"]);
    }
}
