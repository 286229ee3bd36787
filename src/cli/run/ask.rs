//! Owns what `countersign run` asks for: the options of the command line as the body of `POST /v1/requests`.
//!
//! Never lets a mistake reach the server that can be told here, and never changes an argument of the command: what is shown is what runs.

use super::usage;
use crate::cli::output::{cut, visible};
use crate::config::duration;
use crate::domain::ask::Ask as Body;
use crate::domain::json;
use crate::runtime::{Random, SystemRandom};
use serde_json::{Map, Value, json};
use std::ffi::OsString;
use std::time::Duration;

/// Options of `countersign run`.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Args {
    /// What is about to be done, as the policy names it: lower-case words joined by dots
    #[arg(long)]
    action: String,
    /// A parameter that people and the policy see, as text; repeat for more
    #[arg(long = "param", value_name = "NAME=TEXT")]
    params: Vec<String>,
    /// A parameter as JSON: a number, a list, an object
    #[arg(long = "json-param", value_name = "NAME=JSON")]
    json_params: Vec<String>,
    /// The kind of thing it is done to, e.g. table
    #[arg(long, value_name = "TYPE")]
    resource_type: Option<String>,
    /// Which one
    #[arg(long, value_name = "ID")]
    resource_id: Option<String>,
    /// Where, e.g. prod
    #[arg(long, value_name = "NAME")]
    environment: Option<String>,
    /// One line for people: what will happen
    #[arg(long, value_name = "TEXT")]
    summary: Option<String>,
    /// Why; some rules require it
    #[arg(long, value_name = "TEXT")]
    justification: Option<String>,
    /// The person it is done for; they cannot approve it
    #[arg(long, value_name = "PERSON")]
    on_behalf_of: Option<String>,
    /// Let the request expire after this long, e.g. 30m; the policy may say less
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    expires_in: Option<Duration>,
    /// Stop waiting after this long, take the request back and exit 75
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub(super) wait_limit: Option<Duration>,
    /// The command and its arguments, after --
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// One ask, and the command it is for.
#[derive(Debug)]
pub(super) struct Ask {
    body: Value,
    argv: Vec<String>,
    key: String,
}

impl Ask {
    /// From the options, the working directory and the host.
    pub(super) fn new(args: Args) -> anyhow::Result<Self> {
        let cwd = std::env::current_dir().map_err(|error| usage(format!("the working directory is not known: {error}")))?;
        let cwd = cwd.to_str().ok_or_else(|| usage("the working directory is not UTF-8, so it cannot be shown as it is"))?;
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let key: [u8; 16] = (&SystemRandom as &dyn Random).bytes();
        Self::build(args, cwd, &host, &key)
    }

    fn build(args: Args, cwd: &str, host: &str, key: &[u8]) -> anyhow::Result<Self> {
        let text = |argument: OsString| {
            argument
                .into_string()
                .map_err(|argument| usage(format!("the argument {} is not UTF-8, so it cannot be shown as it is", argument.display())))
        };
        let words = args.command.into_iter().map(text).collect::<anyhow::Result<Vec<_>>>()?;
        if words.first().is_none_or(String::is_empty) {
            return Err(usage("the command is empty; write it after --"));
        }
        let mut body = Map::new();
        body.insert("action".to_owned(), args.action.into());
        body.insert(
            "parameters".to_owned(),
            json!({"argv": words, "cwd": cwd, "host": host, "params": params(&args.params, &args.json_params)?}),
        );
        body.insert("allowed_decisions".to_owned(), json!(["approve", "deny"]));
        let resource = [("type", args.resource_type), ("id", args.resource_id), ("environment", args.environment)];
        let resource: Map<String, Value> =
            resource.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect();
        if !resource.is_empty() {
            body.insert("resource".to_owned(), resource.into());
        }
        for (name, value) in [("summary", args.summary), ("justification", args.justification), ("on_behalf_of", args.on_behalf_of)] {
            if let Some(value) = value {
                body.insert(name.to_owned(), value.into());
            }
        }
        if let Some(life) = args.expires_in {
            body.insert("expires_in".to_owned(), life.as_secs().into());
        }
        let body = Value::Object(body);
        Body::from_value(&body).map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(|error| format!("\n  {}", option(&error.pointer, &error.detail))).collect();
            usage(format!("this cannot be asked for:{}", lines.concat()))
        })?;
        Ok(Self { body, argv: words, key: format!("run-{}", crate::domain::audit::hex(key)) })
    }

    /// The body of `POST /v1/requests`.
    pub(super) fn body(&self) -> &Value {
        &self.body
    }

    /// One per invocation, so that a repeated attempt is the same request.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// What was asked to be done with, again for redeeming.
    pub(super) fn parameters(&self) -> &Value {
        &self.body["parameters"]
    }

    /// Exactly what will be executed.
    pub(super) fn argv(&self) -> &[String] {
        &self.argv
    }

    /// Its first word.
    pub(super) fn program(&self) -> &str {
        &self.argv[0]
    }

    /// The command on one line, for people.
    pub(super) fn shown(&self) -> String {
        let plain =
            |word: &&String| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./=:,@%+".contains(&byte));
        let quoted = |word: &String| if plain(&word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) };
        cut(&visible(&self.argv.iter().map(quoted).collect::<Vec<_>>().join(" ")), 200)
    }

    /// Whether the answer to a redeem is about this command.
    pub(super) fn is_what_was(&self, redeemed: &Value) -> bool {
        redeemed["action"] == self.body["action"] && json::same(&redeemed["parameters"], self.parameters())
    }
}

/// The pointer of a body as the option it came from.
fn option(pointer: &str, detail: &str) -> String {
    let option = match pointer {
        "/action" => "--action",
        "/summary" => "--summary",
        "/justification" => "--justification",
        "/on_behalf_of" => "--on-behalf-of",
        "/expires_in" => "--expires-in",
        "/resource/type" => "--resource-type",
        "/resource/id" => "--resource-id",
        "/resource/environment" => "--environment",
        "/parameters" => "the command and its parameters",
        other => other,
    };
    format!("{option}: {detail}")
}

fn params(texts: &[String], documents: &[String]) -> anyhow::Result<Map<String, Value>> {
    let mut params = Map::new();
    for (text, is_json) in texts.iter().map(|text| (text, false)).chain(documents.iter().map(|text| (text, true))) {
        let flag = if is_json { "--json-param" } else { "--param" };
        let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            return Err(usage(format!("{flag} must be NAME=VALUE")));
        };
        let value = if is_json {
            json::parse(value.as_bytes())
                .map_err(|error| usage(format!("--json-param {name}: {error}; a text is written \"in quotes\", or given with --param")))?
        } else {
            Value::from(value)
        };
        if params.insert(name.to_owned(), value).is_some() {
            return Err(usage(format!("the parameter {name} is given twice")));
        }
    }
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn ask(line: &[&str]) -> anyhow::Result<Ask> {
        let line = Line::try_parse_from([&["run"], line].concat()).map_err(|error| anyhow::anyhow!("{error}"))?;
        Ask::build(line.args, "/srv", "host-1", &[7; 16])
    }

    #[test]
    fn options_become_the_body() {
        let ask = ask(&[
            "--action",
            "db.export",
            "--param",
            "table=a=b",
            "--json-param",
            "rows=5",
            "--resource-type",
            "table",
            "--environment",
            "prod",
            "--justification",
            "FIN-482",
            "--expires-in",
            "1h30m",
            "--",
            "./export.sh",
            "--param",
            "it's",
        ])
        .unwrap();
        assert_eq!(
            *ask.body(),
            json!({
                "action": "db.export",
                "parameters": {"argv": ["./export.sh", "--param", "it's"], "cwd": "/srv", "host": "host-1", "params": {"table": "a=b", "rows": 5}},
                "allowed_decisions": ["approve", "deny"],
                "resource": {"type": "table", "environment": "prod"},
                "justification": "FIN-482",
                "expires_in": 5400,
            })
        );
        assert_eq!(ask.shown(), r"./export.sh --param 'it'\''s'");
        assert_eq!(ask.key(), "run-07070707070707070707070707070707");
    }

    #[test]
    fn what_cannot_be_asked_is_told_with_its_option() {
        let message = |line: &[&str]| ask(line).unwrap_err().to_string();
        assert!(message(&["--action", "DB", "--", "x"]).contains("--action: "));
        assert!(message(&["--action", "a", "--expires-in", "1s", "--", "x"]).contains("--expires-in: "));
        assert!(message(&["--action", "a", "--environment", "Prod!", "--", "x"]).contains("--environment: "));
        assert!(message(&["--action", "a", "--param", "x", "--", "x"]).contains("NAME=VALUE"));
        assert!(message(&["--action", "a", "--param", "x=1", "--json-param", "x=1", "--", "x"]).contains("twice"));
        assert!(message(&["--action", "a", "--json-param", "x=yes", "--", "x"]).contains("--json-param x: "));
        assert!(message(&["--action", "a", "--json-param", r#"x={"a":1,"a":2}"#, "--", "x"]).contains("/a"));
        assert!(message(&["--action", "a", "--", ""]).contains("empty"));
        assert!(message(&["--action", "a", "--expires-in", "soon", "--", "x"]).contains("not a duration"));
    }

    #[test]
    fn another_redeemed_action_is_not_ours() {
        let ask = ask(&["--action", "a", "--", "x"]).unwrap();
        assert!(ask.is_what_was(&json!({"action": "a", "parameters": ask.parameters()})));
        assert!(!ask.is_what_was(&json!({"action": "b", "parameters": ask.parameters()})));
        let mut other = ask.parameters().clone();
        other["argv"] = json!(["y"]);
        assert!(!ask.is_what_was(&json!({"action": "a", "parameters": other})));
        assert!(!ask.is_what_was(&json!({})));
    }
}
