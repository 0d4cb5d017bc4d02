//! How long a function that is told to stop goes on.

use std::env;
use std::time::Duration;

/// How long the function goes on to take requests after SIGTERM. A watchdog that passes
/// the signal on before it refuses requests itself does so for healthcheck_interval, or
/// else for write_timeout; fnb's passes it on last, and says 1ms.
pub(crate) fn pause() -> Duration {
    let named = ["healthcheck_interval", "write_timeout"].iter();
    let set = named
        .filter_map(|name| duration(&env::var(name).ok()?))
        .next();
    set.unwrap_or(Duration::from_secs(30))
}

/// A duration as Go and OpenFaaS write it: `30`, `10s`, `1m30s`, `1ms`.
fn duration(text: &str) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (!text.is_empty())
        .then(|| Duration::try_from_secs_f64(total).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("30", Some(30_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("1ms", Some(1)),
            ("1m30s", Some(90_000)),
            ("1.5s", Some(1_500)),
            ("", None),
            ("s", None),
            ("5 s", None),
            ("-1s", None),
            ("5x", None),
        ] {
            assert_eq!(duration(text), want.map(Duration::from_millis), "{text:?}");
        }
    }
}
