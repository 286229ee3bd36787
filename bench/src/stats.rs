//! Owns what is made of many durations: percentiles and medians, as JSON in milliseconds.

use serde_json::{Value, json};
use std::time::Duration;

/// A duration in milliseconds, to the microsecond.
pub fn ms(duration: Duration) -> f64 {
    round(duration.as_secs_f64() * 1_000.0)
}

/// To three places.
pub fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The value below which `percent` of the samples are. Sorts them.
pub fn percentile(samples: &mut [Duration], percent: f64) -> Duration {
    if samples.is_empty() {
        return Duration::ZERO;
    }
    samples.sort_unstable();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let index = (samples.len() as f64 * percent / 100.0) as usize;
    samples[index.min(samples.len() - 1)]
}

/// p50, p99 and max.
pub fn summary(samples: &mut [Duration]) -> Value {
    json!({
        "count": samples.len(),
        "p50_ms": ms(percentile(samples, 50.0)),
        "p99_ms": ms(percentile(samples, 99.0)),
        "max_ms": ms(samples.iter().max().copied().unwrap_or_default()),
    })
}

/// The middle one.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
