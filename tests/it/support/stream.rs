//! Owns reading server-sent events as a client does: block by block, as HTML section 9.2 says.

use serde_json::Value;

/// A stream under reading.
pub(crate) struct EventStream {
    /// The status of the answer.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: reqwest::header::HeaderMap,
    answer: reqwest::Response,
    text: String,
    /// The id that a client would send when it connects again.
    pub(crate) last_event_id: String,
}

/// An event, as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Value,
}

impl EventStream {
    pub(crate) fn of(answer: reqwest::Response) -> Self {
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, answer, text: String::new(), last_event_id: String::new() }
    }

    /// The next block, comments included; `None` when the stream ended as it should.
    pub(crate) async fn block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                return Some(block.trim_end().to_owned());
            }
            let Some(chunk) = self.answer.chunk().await.unwrap() else {
                assert_eq!(self.text, "", "half a block at the end");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// The next event; `None` when the stream ended as it should.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let block = self.block().await?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned);
            if let Some(id) = field("id") {
                self.last_event_id = id;
            }
            if let Some(data) = field("data") {
                let data = serde_json::from_str(&data).unwrap();
                return Some(Event { name: field("event").unwrap(), id: self.last_event_id.clone(), data });
            }
        }
    }
}
