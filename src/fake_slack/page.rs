//! Owns the page of a visible FakeSlack: the workspace as JSON for one of its people, and what that person does.
//!
//! Never without the random token in the path, and never anything that a person could not do in Slack. The page's own files
//! are constant: whatever somebody wrote reaches it as JSON, and its script only ever makes text of it.

use super::FakeSlack;
use super::model::{Channel, Ephemeral, Message, Model};
use super::person::{Acknowledged, Filled, Impossible};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use subtle::ConstantTimeEq as _;

const PAGE: &str = include_str!("../../templates/demo/slack.html");
const STYLE: &str = include_str!("../../templates/demo/slack.css");
const SCRIPT: &str = include_str!("../../templates/demo/slack.js");
const BLOCKS: &str = include_str!("../../templates/demo/blocks.js");
/// The page loads its own files and talks to its own server, and nothing else.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
/// How long an unchanged workspace is looked at before the page is told so.
const LOOK: Duration = Duration::from_secs(25);
/// Messages of a channel that the page shows.
const SHOWN: usize = 60;

pub(super) fn routes() -> Router<FakeSlack> {
    Router::new()
        .route("/page/{token}/", get(page))
        .route("/page/{token}/{file}", get(file))
        .route("/page/{token}/state", get(state))
        .route("/page/{token}/tap", post(tap))
        .route("/page/{token}/submit", post(submit))
        .route("/page/{token}/close", post(close))
        .route("/page/{token}/command", post(command))
        .route("/page/{token}/home", post(home))
}

/// Whether a path carries the page's token.
fn admits(slack: &FakeSlack, token: &str) -> bool {
    slack.0.page.as_deref().is_some_and(|page| page.as_bytes().ct_eq(token.as_bytes()).into())
}

fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response()
}

async fn page(State(slack): State<FakeSlack>, Path(token): Path<String>) -> Response {
    if admits(&slack, &token) { constant("text/html; charset=utf-8", PAGE) } else { nothing() }
}

async fn file(State(slack): State<FakeSlack>, Path((token, name)): Path<(String, String)>) -> Response {
    match name.as_str() {
        _ if !admits(&slack, &token) => nothing(),
        "slack.css" => constant("text/css; charset=utf-8", STYLE),
        "slack.js" => constant("text/javascript; charset=utf-8", SCRIPT),
        "blocks.js" => constant("text/javascript; charset=utf-8", BLOCKS),
        _ => nothing(),
    }
}

fn constant(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text).into_response()
}

/// Who looks, and what they have seen.
#[derive(Debug, serde::Deserialize)]
struct Look {
    /// Id of the person.
    me: Option<String>,
    /// The `changes` of the answer before.
    seen: Option<u64>,
}

/// The workspace as one person sees it, as soon as it differs from what they have seen.
async fn state(State(slack): State<FakeSlack>, Path(token): Path<String>, Query(look): Query<Look>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    let mut changes = slack.0.changed.subscribe();
    // Either way the present state is the answer.
    let _ = tokio::time::timeout(LOOK, changes.wait_for(|changes| Some(*changes) != look.seen)).await;
    let seen = *changes.borrow();
    let mut shown = shown(&slack.lock(), look.me.as_deref());
    shown["changes"] = json!(seen);
    ([(header::CACHE_CONTROL, "no-store")], Json(shown)).into_response()
}

fn shown(model: &Model, me: Option<&str>) -> Value {
    let name = |user: &Value| user["profile"]["display_name"].as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let people: Vec<Value> = model
        .users
        .iter()
        .map(|(id, user)| {
            let name = name(user).unwrap_or_else(|| id.clone());
            json!({"id": id, "name": name, "title": user["profile"]["title"], "last": last(model, id)})
        })
        .collect();
    let me = me.filter(|me| model.users.contains_key(*me));
    let channels: Vec<Value> =
        model.channels.iter().filter(|(_, channel)| sees(channel, me)).map(|(id, it)| conversation(id, it)).collect();
    let told: Vec<Value> = model
        .ephemerals
        .iter()
        .filter(|told| Some(told.user.as_str()) == me)
        .map(|told| json!({"channel": told.channel, "ts": told.ts, "text": told.text, "blocks": told.blocks}))
        .collect();
    let stack = me.and_then(|me| model.stacks.get(me)).into_iter().flatten();
    let dialogs: Vec<Value> =
        stack.filter_map(|id| model.views.get(id)).map(|view| json!({"id": view.id, "hash": view.hash, "content": view.content})).collect();
    let home = me.and_then(|me| model.homes.get(me)).map(|view| json!({"id": view.id, "content": view.content}));
    json!({"me": me, "people": people, "channels": channels, "told": told, "dialogs": dialogs, "home": home})
}

/// When this person was told something alone for the last time: a direct message, or a private one in a channel.
fn last<'a>(model: &'a Model, user: &str) -> &'a str {
    let told = model.ephemerals.iter().filter(|told| told.user == user).map(|told| told.ts.as_str());
    let direct = model.channels.values().filter(|channel| channel.record["is_im"] == true && channel.members.contains(user));
    told.chain(direct.flat_map(|channel| &channel.messages).map(|message| message.ts.as_str())).max().unwrap_or_default()
}

/// Everybody sees every channel; a direct message is for the person it is with.
fn sees(channel: &Channel, me: Option<&str>) -> bool {
    channel.record["is_im"] != true || me.is_some_and(|me| channel.members.contains(me))
}

fn conversation(id: &str, channel: &Channel) -> Value {
    let skipped = channel.messages.len().saturating_sub(SHOWN);
    let messages: Vec<Value> = channel.messages.iter().skip(skipped).map(message).collect();
    json!({"id": id, "name": channel.record["name"], "direct": channel.record["is_im"] == true, "topic": channel.record["topic"]["value"], "messages": messages})
}

fn message(message: &Message) -> Value {
    json!({"ts": message.ts, "thread": message.thread_ts, "text": message.text, "blocks": message.blocks, "edits": message.edits})
}

/// A tap on a button.
#[derive(Debug, serde::Deserialize)]
struct Tap {
    me: String,
    #[serde(flatten)]
    place: Place,
    action: String,
}

/// Where the button is.
#[derive(Debug, serde::Deserialize)]
#[serde(untagged)]
enum Place {
    Message { channel: String, ts: String },
    Dialog { view: String },
}

async fn tap(State(slack): State<FakeSlack>, Path(token): Path<String>, Json(tap): Json<Tap>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    let person = slack.user(&tap.me);
    told(match tap.place {
        Place::Message { channel, ts } => {
            let message = slack.lock().message(&channel, &ts).cloned();
            match message {
                Some(message) => person.taps(&message, &tap.action).await,
                None => Err(Impossible::new("This message is gone.")),
            }
        }
        Place::Dialog { view } => match person.view().into_iter().chain(person.home()).find(|shown| shown.id == view) {
            Some(view) => person.taps_in(&view, &tap.action).await,
            None => Err(Impossible::new("This dialog is closed.")),
        },
    })
}

/// The submit of a dialog.
#[derive(Debug, serde::Deserialize)]
struct Submit {
    me: String,
    view: String,
    /// By `action_id`.
    filled: BTreeMap<String, Filled>,
}

async fn submit(State(slack): State<FakeSlack>, Path(token): Path<String>, Json(submit): Json<Submit>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    let person = slack.user(&submit.me);
    let Some(view) = person.view().filter(|view| view.id == submit.view) else {
        return told(Err(Impossible::new("This dialog is closed.")));
    };
    let filled: Vec<(&str, Filled)> = submit.filled.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    told(person.submits(&view, &filled).await)
}

/// The end of a dialog without a submit.
#[derive(Debug, serde::Deserialize)]
struct Close {
    me: String,
    all: bool,
}

async fn close(State(slack): State<FakeSlack>, Path(token): Path<String>, Json(close): Json<Close>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    slack.user(&close.me).closes(close.all);
    StatusCode::NO_CONTENT.into_response()
}

/// A slash command.
#[derive(Debug, serde::Deserialize)]
struct Command {
    me: String,
    channel: String,
    /// What stands behind `/countersign`.
    words: String,
}

async fn command(State(slack): State<FakeSlack>, Path(token): Path<String>, Json(command): Json<Command>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    let answer = slack.user(&command.me).commands(&command.channel, &command.words).await;
    if let Ok(Acknowledged { status: 200, body }) = &answer
        && let Ok(said) = serde_json::from_str::<Value>(body)
    {
        // Slack shows what the app answers at once like what it posts to the response_url.
        let now = slack.now();
        slack.change(|model| {
            let ts = model.ts(now);
            let text = said["text"].as_str().unwrap_or_default().to_owned();
            model.ephemerals.push(Ephemeral { channel: command.channel, user: command.me, ts, text, blocks: said["blocks"].clone() });
        });
    }
    told(answer)
}

/// Who opens the app's own page.
#[derive(Debug, serde::Deserialize)]
struct Home {
    me: String,
}

async fn home(State(slack): State<FakeSlack>, Path(token): Path<String>, Json(home): Json<Home>) -> Response {
    if !admits(&slack, &token) {
        return nothing();
    }
    told(slack.user(&home.me).opens_home().await)
}

/// What the app answered, as Slack's client learns it.
fn told(answer: Result<Acknowledged, Impossible>) -> Response {
    match answer {
        Ok(answer) => {
            let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
            Json(json!({"status": answer.status, "errors": body["errors"]})).into_response()
        }
        Err(impossible) => (StatusCode::CONFLICT, Json(json!({"problem": impossible.to_string()}))).into_response(),
    }
}
