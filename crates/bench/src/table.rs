//! The printed table: what was measured, the bar, and upstream's figure.

/// One measurement.
pub struct Row {
    /// What.
    pub what: String,
    /// The median.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What is aimed at: a number with `≤` or `≥`; empty where there is no aim.
    pub aim: &'static str,
    /// Upstream 1.36 on two cores; empty where unknown.
    pub upstream: &'static str,
}

impl Row {
    /// A row.
    pub fn new(
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        aim: &'static str,
        upstream: &'static str,
    ) -> Self {
        Self { what: what.into(), value, unit, aim, upstream }
    }
}

/// The middle of the values; of an even number the lower of the two.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

/// Prints rows as a Markdown table, so that it can go into the docs as it is.
pub fn print(title: &str, rows: &[Row]) {
    println!("\n### {title}\n\n| measured | value | aim | upstream |\n| --- | ---: | ---: | ---: |");
    for row in rows {
        println!("| {} | {:.3} {} | {} | {} |", row.what, row.value, row.unit, row.aim, row.upstream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0]), 1.0);
        assert!(median(Vec::new()).is_nan());
    }
}
