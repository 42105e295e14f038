//! Measurements: named samples with a unit, and what is told of them.
use serde_json::{Value, json};

/// What was measured, once or many times.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// Stable: scripts look for it. `what.situation`.
    pub name: String,
    /// Of every sample.
    pub unit: &'static str,
    /// In the order in which they were taken; never empty.
    pub samples: Vec<f64>,
}

impl Measurement {
    /// Samples under a name.
    pub fn new(name: impl Into<String>, unit: &'static str, samples: Vec<f64>) -> Measurement {
        let name = name.into();
        assert!(!samples.is_empty(), "{name} was not measured");
        Measurement { name, unit, samples }
    }

    /// The sample below which a part of them lies, by the nearest rank: 0.0 is the least, 1.0 the greatest.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted[rank.clamp(1, sorted.len()) - 1]
    }

    /// The middle one; of an even number of samples the mean of the two in the middle.
    pub fn median(&self) -> f64 {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
    }

    /// One object of `bench.json`.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name, "unit": self.unit, "runs": self.samples.len(),
            "min": self.quantile(0.0), "median": self.median(), "p95": self.quantile(0.95), "p99": self.quantile(0.99), "max": self.quantile(1.0),
        })
    }
}

/// A table in Markdown, a row for each measurement.
pub fn table(measurements: &[Measurement]) -> String {
    let head =
        "| measurement | unit | runs | min | median | p95 | p99 | max |\n|---|---|---|---|---|---|---|---|"
            .to_owned();
    let rows = measurements.iter().map(|of| {
        let figures = [of.quantile(0.0), of.median(), of.quantile(0.95), of.quantile(0.99), of.quantile(1.0)];
        let figures = figures.map(readable);
        format!("| {} | {} | {} | {} |", of.name, of.unit, of.samples.len(), figures.join(" | "))
    });
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}

/// With as many digits as say something.
fn readable(figure: f64) -> String {
    match figure.abs() {
        large if large >= 100.0 => format!("{figure:.0}"),
        middling if middling >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_samples_have_a_median_and_a_ninety_fifth_percentile() {
        let samples = (1..=20).rev().map(f64::from).collect();
        let measured = Measurement::new("pause.kill", "ms", samples);
        let json = measured.json();
        assert_eq!(
            ["runs", "min", "median", "p95", "p99", "max"].map(|key| json[key].as_f64()),
            [20.0, 1.0, 10.5, 19.0, 20.0, 20.0].map(Some)
        );
        assert_eq!(
            table(&[measured]).lines().last(),
            Some("| pause.kill | ms | 20 | 1.000 | 10.5 | 19.0 | 20.0 | 20.0 |")
        );
    }

    #[test]
    #[should_panic(expected = "pause.kill was not measured")]
    fn nothing_is_told_of_what_was_not_measured() {
        Measurement::new("pause.kill", "ms", Vec::new());
    }
}
