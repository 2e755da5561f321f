//! The Universal Scalability Law of Neil Gunther, fitted to a measurement.
//!
//! With `n` at work, the throughput is `lambda n / (1 + sigma (n - 1) + kappa n (n - 1))`. `sigma` is the part that
//! only one can do at a time, `kappa` what each costs each other one. `n / X(n)` is a polynomial in them, so the fit is
//! linear. Weighted so that relative errors count: a fit of the plain inverse would listen to the slow sizes alone.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Operations a second of one alone.
    pub lambda: f64,
    pub sigma: f64,
    pub kappa: f64,
    /// Where the throughput is highest. Without `kappa` there is no such place.
    pub peak: Option<f64>,
    /// The median of the relative errors of the measured sizes.
    pub error: f64,
}

impl Fit {
    pub fn throughput(&self, n: f64) -> f64 {
        self.lambda * n / (1.0 + self.sigma * (n - 1.0) + self.kappa * n * (n - 1.0))
    }

    /// From pairs of `n` and throughput. `None` for fewer than four, or when they do not determine it.
    pub fn of(points: &[(f64, f64)]) -> Option<Self> {
        if points.len() < 4 {
            return None;
        }
        // Rows of [1, n - 1, n (n - 1)] times (a, b, c) = n / X, all divided by n / X.
        let mut matrix = [[0.0; 4]; 3];
        for &(n, throughput) in points {
            let weight = throughput / n;
            let row = [weight, (n - 1.0) * weight, n * (n - 1.0) * weight];
            for i in 0..3 {
                for j in 0..3 {
                    matrix[i][j] += row[i] * row[j];
                }
                matrix[i][3] += row[i];
            }
        }
        let [a, b, c] = solve(matrix)?;
        let (lambda, sigma, kappa) = (1.0 / a, b / a, c / a);
        let peak = (kappa > 0.0 && sigma < 1.0).then(|| ((1.0 - sigma) / kappa).sqrt());
        let mut fit = Self { lambda, sigma, kappa, peak, error: 0.0 };
        let mut errors: Vec<f64> =
            points.iter().map(|&(n, throughput)| (fit.throughput(n) / throughput - 1.0).abs()).collect();
        errors.sort_by(f64::total_cmp);
        fit.error = crate::stats::percentile(&errors, 0.5)?;
        Some(fit)
    }
}

/// Gauss, with the largest pivot.
fn solve(mut m: [[f64; 4]; 3]) -> Option<[f64; 3]> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|&a, &b| m[a][column].abs().total_cmp(&m[b][column].abs()))?;
        m.swap(column, pivot);
        if m[column][column].abs() < 1e-12 {
            return None;
        }
        for row in 0..3 {
            if row != column {
                let (from, factor) = (m[column], m[row][column] / m[column][column]);
                for (cell, above) in m[row].iter_mut().zip(from) {
                    *cell -= factor * above;
                }
            }
        }
    }
    Some([0, 1, 2].map(|i| m[i][3] / m[i][i]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_the_law_is_found_again() {
        let law = Fit { lambda: 1000.0, sigma: 0.05, kappa: 0.001, peak: None, error: 0.0 };
        let points: Vec<(f64, f64)> =
            [1.0, 2.0, 4.0, 8.0, 32.0, 64.0].iter().map(|&n| (n, law.throughput(n))).collect();
        let fit = Fit::of(&points).unwrap();
        assert!((fit.lambda - 1000.0).abs() < 1e-6 && (fit.sigma - 0.05).abs() < 1e-9, "{fit:?}");
        assert!((fit.kappa - 0.001).abs() < 1e-9 && fit.error < 1e-9, "{fit:?}");
        assert!((fit.peak.unwrap() - (0.95f64 / 0.001).sqrt()).abs() < 1e-6, "{fit:?}");
    }

    #[test]
    fn too_few_points_and_equal_ones_give_no_fit() {
        assert_eq!(Fit::of(&[(1.0, 1.0), (2.0, 2.0), (3.0, 3.0)]), None);
        assert_eq!(Fit::of(&[(2.0, 1.0); 5]), None);
    }

    #[test]
    fn without_cost_to_each_other_there_is_no_peak() {
        let points: Vec<(f64, f64)> = (1..8).map(|n| (f64::from(n), f64::from(n) * 10.0)).collect();
        let fit = Fit::of(&points).unwrap();
        assert!(fit.peak.is_none_or(|peak| peak > 1e3), "{fit:?}");
    }
}
