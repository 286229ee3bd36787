//! Owns FakeSlack's side of Socket Mode: connections that the app opens with a ticket, and callbacks that go to one of them.
//!
//! Never redelivers by itself, and never closes a connection unless it is asked to.

use super::person::{Acknowledged, Impossible};
use super::{ANSWER, FakeSlack, lock};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

/// Connections of one app at most.
const MOST: usize = 10;

/// The connections of the app, and what is waited for.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    open: Mutex<Vec<Connection>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Value>>>,
    acknowledged: Mutex<Vec<Value>>,
}

#[derive(Debug, Clone)]
struct Connection {
    id: u64,
    orders: mpsc::UnboundedSender<Order>,
}

#[derive(Debug)]
enum Order {
    Write(String),
    Silence,
    Cut,
}

impl FakeSlack {
    /// Switches Socket Mode on: from now on callbacks go over the app's connections.
    ///
    /// # Errors
    /// When loopback has no port left.
    pub async fn socket_mode(&self) -> std::io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("ws://{}", listener.local_addr()?);
        self.change(|model| model.socket_address = Some(address));
        let slack = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let slack = slack.clone();
                tokio::spawn(async move { slack.greet(stream).await });
            }
        });
        Ok(())
    }

    /// Open connections, by id, the oldest first.
    pub fn connections(&self) -> Vec<u64> {
        lock(&self.0.sockets.open).iter().map(|connection| connection.id).collect()
    }

    /// Every acknowledgement so far.
    pub fn acknowledgements(&self) -> Vec<Value> {
        lock(&self.0.sockets.acknowledged).clone()
    }

    /// Writes a frame to one connection.
    pub fn writes(&self, connection: u64, frame: &Value) {
        self.order(connection, Order::Write(frame.to_string()));
    }

    /// One connection hears and says nothing any more, and nobody is told.
    pub fn silences(&self, connection: u64) {
        self.order(connection, Order::Silence);
    }

    /// One connection breaks off.
    pub fn cuts(&self, connection: u64) {
        self.order(connection, Order::Cut);
    }

    /// Sends a callback over one of the connections, in turn, and waits for its acknowledgement.
    ///
    /// # Errors
    /// When there is no connection, or nothing is acknowledged.
    pub(super) async fn envelope(&self, kind: &str, payload: &Value) -> Result<Acknowledged, Impossible> {
        let id = format!("envelope-{}", self.lock().serial());
        let (told, word) = oneshot::channel();
        lock(&self.0.sockets.waiting).insert(id.clone(), told);
        let answers = kind == "slash_commands" || payload["type"] == "view_submission";
        let frame = json!({"envelope_id": id, "type": kind, "payload": payload, "accepts_response_payload": answers});
        let open = self.connections();
        let turn = usize::try_from(self.lock().serial()).unwrap_or_default();
        let connection = open.get(turn % open.len().max(1)).ok_or_else(|| Impossible::new("the app has no connection"))?;
        self.writes(*connection, &frame);
        let unheard = |_| Impossible::new("the app acknowledged nothing");
        let word =
            tokio::time::timeout(ANSWER, word).await.map_err(unheard)?.map_err(|_| Impossible::new("the app acknowledged nothing"))?;
        let body = word.get("payload").map(ToString::to_string).unwrap_or_default();
        if !answers && !body.is_empty() {
            return Err(Impossible::new("this envelope takes no answer"));
        }
        Ok(Acknowledged { status: 200, body })
    }

    fn order(&self, connection: u64, order: Order) {
        if let Some(open) = lock(&self.0.sockets.open).iter().find(|open| open.id == connection) {
            // An error means that it is gone already.
            let _ = open.orders.send(order);
        }
    }

    async fn greet(self, stream: TcpStream) {
        let slack = self.clone();
        // The error's type is the library's.
        #[expect(clippy::result_large_err, reason = "the library's own type")]
        let admit = move |request: &Request, response: Response| {
            let query = request.uri().query().unwrap_or_default();
            let ticket =
                url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket").map(|(_, ticket)| ticket.into_owned());
            if ticket.is_some_and(|ticket| slack.lock().tickets.remove(&ticket)) { Ok(response) } else { Err(ErrorResponse::new(None)) }
        };
        let Ok(mut stream) = tokio_tungstenite::accept_hdr_async(stream, admit).await else { return };
        let (orders, mut ordered) = mpsc::unbounded_channel();
        let (id, app) = {
            let mut model = self.lock();
            (model.serial(), model.app.clone())
        };
        let open = self.connections().len();
        if open >= MOST {
            let _ = stream.send(Message::text(json!({"type": "disconnect", "reason": "too_many_websockets"}).to_string())).await;
            return;
        }
        let hello = json!({
            "type": "hello", "num_connections": open + 1, "debug_info": {"host": "fake", "approximate_connection_time": 18_060},
            "connection_info": {"app_id": app},
        });
        lock(&self.0.sockets.open).push(Connection { id, orders });
        if stream.send(Message::text(hello.to_string())).await.is_ok() {
            self.change(|_| ());
            self.converse(&mut stream, &mut ordered).await;
        }
        lock(&self.0.sockets.open).retain(|connection| connection.id != id);
        self.change(|_| ());
    }

    async fn converse(&self, stream: &mut WebSocketStream<TcpStream>, ordered: &mut mpsc::UnboundedReceiver<Order>) {
        loop {
            tokio::select! {
                order = ordered.recv() => match order {
                    Some(Order::Write(frame)) => {
                        if stream.send(Message::text(frame)).await.is_err() {
                            return;
                        }
                    }
                    Some(Order::Silence) => while !matches!(ordered.recv().await, Some(Order::Cut) | None) {},
                    Some(Order::Cut) | None => return,
                },
                message = stream.next() => match message {
                    Some(Ok(Message::Text(text))) => {
                        let word: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
                        lock(&self.0.sockets.acknowledged).push(word.clone());
                        let waiting = word["envelope_id"].as_str().and_then(|id| lock(&self.0.sockets.waiting).remove(id));
                        if let Some(waiting) = waiting {
                            // An error means that nobody waits any more.
                            let _ = waiting.send(word);
                        }
                        self.change(|_| ());
                    }
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => {}
                },
            }
        }
    }
}
