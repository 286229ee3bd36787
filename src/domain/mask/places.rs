//! Owns the places that policy and callers name: JSON pointers, taken apart, and how they match on the way through an object.
//!
//! Never decides between a place and what names and shapes say: that is the parent's.

use super::{Mask, MaskMode};

/// One segment of a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Every member or item.
    Any,
    /// The member of this name, or the item of this index.
    Name(String),
}

/// The part of a place that still lies ahead; never empty.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'p> {
    pub(super) rest: &'p [Step],
    pub(super) mode: MaskMode,
}

/// Every place that a caller or a policy named. A caller's `*` is a name like any other.
pub(super) fn of(sensitive: &[String], masks: &[Mask]) -> Vec<(Vec<Step>, MaskMode)> {
    let named = |token: String| Step::Name(token);
    let pattern = |token: String| if token == "*" { Step::Any } else { Step::Name(token) };
    let sensitive = sensitive.iter().map(|pointer| (steps(pointer, named), MaskMode::Mask));
    sensitive.chain(masks.iter().map(|mask| (steps(&mask.path, pattern), mask.mode))).collect()
}

/// The empty pointer covers every member. A bare `~` is no escape of RFC 6901, yet readers take it for itself, so that no
/// value slips through.
fn steps(pointer: &str, step: impl Fn(String) -> Step) -> Vec<Step> {
    match pointer.strip_prefix('/') {
        None => vec![Step::Any],
        Some(rest) => rest.split('/').map(|token| step(token.replace("~1", "/").replace("~0", "~"))).collect(),
    }
}

/// The places below a member or item, and the strictest mode of those that end at it.
pub(super) fn enter<'p>(places: &[Place<'p>], token: &str) -> (Vec<Place<'p>>, Option<MaskMode>) {
    let (mut below, mut mode) = (Vec::new(), None);
    for place in places {
        let Some((step, rest)) = place.rest.split_first() else { continue };
        if !matches!(step, Step::Name(name) if name != token) {
            if rest.is_empty() {
                mode = mode.max(Some(place.mode));
            } else {
                below.push(Place { rest, ..*place });
            }
        }
    }
    (below, mode)
}
