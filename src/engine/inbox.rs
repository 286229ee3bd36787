//! Owns the way of what came in from a chat platform to the use case that it is for, the same over every transport.
//!
//! Never waits for a platform or a directory: whoever sent it waits for "ok".

use super::Engine;
use crate::chat::{Inbound, Inbox, NotTaken, Pending};
use serde_json::Value;
use std::sync::Arc;

impl Inbox for Arc<Engine> {
    fn take<'a>(&'a self, platform: &'static str, inbound: Inbound) -> Pending<'a, Result<Option<Value>, NotTaken>> {
        Box::pin(async move {
            let platform = self.platform(platform).ok_or(NotTaken)?;
            match inbound {
                Inbound::Tap(tap) => self.take_tap(&platform, *tap).await.map_err(|failure| {
                    tracing::error!(code = failure.code(), "a tap could not be stored; it is not acknowledged");
                    NotTaken
                }),
                // Nothing is decided by these: the answer goes its own way, after the acknowledgement.
                Inbound::Command(command) => {
                    let engine = Arc::clone(self);
                    tokio::spawn(async move { engine.answer_command(&*platform, &command).await });
                    Ok(None)
                }
                Inbound::Home(account) => {
                    let engine = Arc::clone(self);
                    tokio::spawn(async move { engine.show_home(&*platform, &account).await });
                    Ok(None)
                }
                Inbound::Gone(code) => {
                    platform.gone(code);
                    Ok(None)
                }
                Inbound::Nothing => Ok(None),
            }
        })
    }
}
