//! Owns whether Slack still has our app installed: events and refused calls say that it does not, `auth.test` that it does again.
//!
//! Never decides what becomes of what was to be sent.

use crate::chat::DeliveryError;
use std::sync::{Mutex, PoisonError};

/// The state of the installation, as far as it is known.
#[derive(Debug, Default)]
pub struct Installed(Mutex<Option<String>>);

impl Installed {
    /// The code with which Slack sends us away; `None` while it does not.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Slack sends us away.
    pub fn gone(&self, code: &str) {
        let news = self.0.lock().unwrap_or_else(PoisonError::into_inner).replace(code.to_owned()).is_none();
        if news {
            tracing::error!(
                code,
                "Slack has the app installed no more, or its token is revoked: nothing is posted. Install it again, give the server its token, and restart"
            );
        }
        metrics::gauge!("countersign_slack_installed").set(0.0);
    }

    /// Slack takes our calls.
    pub fn is_fine(&self) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some() {
            tracing::info!("Slack takes our calls again");
        }
        metrics::gauge!("countersign_slack_installed").set(1.0);
    }

    /// Learns from a failed call.
    pub(super) fn learn(&self, error: &DeliveryError) {
        if let DeliveryError::Permanent { code } = error
            && matches!(code.as_str(), "account_inactive" | "token_revoked" | "token_expired" | "invalid_auth" | "not_authed")
        {
            self.gone(code);
        }
    }
}
