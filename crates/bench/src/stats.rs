//! Medians, percentiles, and ratios paired by round.

use serde::Serialize;

/// The middle of many rounds. `low` and `high` are the 10th and the 90th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Summary {
    /// `None` without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: percentile(&sorted, 0.5)?,
            low: percentile(&sorted, 0.1)?,
            high: percentile(&sorted, 0.9)?,
        })
    }

    /// Of `values[round] / base[round]`: what moves a whole round, such as a busy neighbour, cancels out.
    pub fn of_ratios(values: &[f64], base: &[f64]) -> Option<Self> {
        let ratios: Vec<f64> = values
            .iter()
            .zip(base)
            .map(|(value, base)| value / base)
            .filter(|ratio| ratio.is_finite())
            .collect();
        Self::of(&ratios)
    }
}

/// Between the neighbours in proportion. The values are in order.
pub fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = share * last as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let above = (below + 1).min(last);
    Some(sorted[below] + (sorted[above] - sorted[below]) * part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_of_values_in_any_order() {
        let summary = Summary::of(&[5.0, 1.0, 3.0, 2.0, 4.0]).unwrap();
        assert_eq!(summary.median, 3.0);
        assert!((summary.low - 1.4).abs() < 1e-9, "{summary:?}");
        assert!((summary.high - 4.6).abs() < 1e-9, "{summary:?}");
        assert_eq!(Summary::of(&[]), None);
    }

    #[test]
    fn an_even_number_of_values_has_its_median_between_two() {
        assert_eq!(Summary::of(&[1.0, 2.0, 3.0, 10.0]).unwrap().median, 2.5);
    }

    #[test]
    fn ratios_are_paired_by_round() {
        // The second round was slow for both. The ratio of the medians would be 20 / 10 too, but not its spread.
        let ratio = Summary::of_ratios(&[20.0, 80.0, 20.0], &[10.0, 40.0, 10.0]).unwrap();
        assert_eq!(ratio, Summary { median: 2.0, low: 2.0, high: 2.0 });
    }

    #[test]
    fn a_round_without_a_base_has_no_ratio() {
        assert_eq!(Summary::of_ratios(&[1.0, 4.0], &[0.0, 2.0]).unwrap().median, 2.0);
        assert_eq!(Summary::of_ratios(&[0.0], &[0.0]), None);
    }
}
