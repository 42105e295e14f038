//! Waiting that says what it waited for, how long, and what it saw last.
use crate::deadlines::patient;
use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(20);

/// Looks again and again until `look` gives a value; its errors say what was seen instead. Panics when `limit` has passed.
pub fn until<T, E: Debug>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<T, E>) -> T {
    let limit = patient(limit);
    let started = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if started.elapsed() > limit => {
                panic!("waited {} s until {what}; last seen: {seen:?}", limit.as_secs())
            }
            Err(_) => sleep(STEP),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "until the sun rises; last seen: \"night\"")]
    fn a_wait_in_vain_says_for_what() {
        until::<(), _>("the sun rises", Duration::from_millis(30), || Err("night"));
    }
}
