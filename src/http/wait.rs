//! Owns how a caller says how long it waits: `?wait=`, `Prefer: wait=` (RFC 7240 §4.3) and `?after_version=`.
//!
//! Never waits longer than the longest wait, whatever is asked for.

use super::problem::Problem;
use crate::engine::follow::{Until, Wait};
use axum::http::HeaderMap;
use std::time::Duration;

/// The longest wait, in seconds.
const LONGEST: u64 = 50;

/// The query of a read or a create.
#[derive(Debug, Default, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Wait up to so many seconds (at most 50) for a decision.
    pub wait: Option<String>,
    /// Return as soon as the version is greater than this.
    pub after_version: Option<String>,
}

/// A wait, and whether it came from `Prefer`, which is then answered by `Preference-Applied`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked {
    /// The wait; `None` to answer at once.
    pub wait: Option<Wait>,
    /// Seconds that `Prefer` asked for and got.
    pub preference: Option<u64>,
}

impl WaitQuery {
    /// Reads both ways of asking; the query wins.
    ///
    /// # Errors
    /// 400 when it is not a number.
    pub fn read(&self, headers: &HeaderMap) -> Result<Asked, Problem> {
        let until = match &self.after_version {
            None => Until::Decided,
            Some(text) => Until::Changed(text.parse().map_err(|_| Problem::malformed("after_version is not a whole number."))?),
        };
        let (seconds, preference) = match (&self.wait, preferred(headers)) {
            (Some(text), _) => (Some(seconds(text)?), None),
            (None, Some(text)) => {
                let seconds = seconds(&text)?;
                (Some(seconds), Some(seconds))
            }
            (None, None) => (None, None),
        };
        let wait = seconds.filter(|seconds| *seconds > 0).map(|seconds| Wait { patience: Duration::from_secs(seconds), until });
        Ok(Asked { wait, preference })
    }
}

fn seconds(text: &str) -> Result<u64, Problem> {
    let text = text.trim();
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Problem::malformed("wait is not a whole number of seconds."));
    }
    // More digits than fit are simply a long wait.
    Ok(text.parse().unwrap_or(u64::MAX).min(LONGEST))
}

fn preferred(headers: &HeaderMap) -> Option<String> {
    headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split([',', ';'])).find_map(
        |preference| {
            let (name, value) = preference.split_once('=')?;
            name.trim().eq_ignore_ascii_case("wait").then(|| value.trim().trim_matches('"').to_owned())
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(wait: Option<&str>, prefer: Option<&'static str>) -> Result<Asked, Problem> {
        let mut headers = HeaderMap::new();
        if let Some(prefer) = prefer {
            headers.insert("prefer", axum::http::HeaderValue::from_static(prefer));
        }
        WaitQuery { wait: wait.map(str::to_owned), after_version: None }.read(&headers)
    }

    #[test]
    fn both_ways_are_understood_and_clamped() {
        assert_eq!(read(Some("25"), None).unwrap().wait.unwrap().patience, Duration::from_secs(25));
        assert_eq!(read(Some("9999999999999999999999"), None).unwrap().wait.unwrap().patience, Duration::from_secs(50));
        let asked = read(None, Some("respond-async, wait=7")).unwrap();
        assert_eq!((asked.wait.unwrap().patience, asked.preference), (Duration::from_secs(7), Some(7)));
        assert_eq!(read(Some("0"), None).unwrap().wait, None);
        assert_eq!(read(None, None).unwrap().wait, None);
    }

    #[test]
    fn what_is_no_number_is_malformed() {
        for text in ["", "soon", "-1", "1.5", "+3"] {
            assert_eq!(read(Some(text), None).unwrap_err().status(), 400, "{text:?}");
        }
    }
}
