//! Seeded draws that are the same on every target.

/// Draws of one purpose, such as the arrivals of a run.
pub struct Draws(fastrand::Rng);

impl Draws {
    /// Two purposes of one seed draw different numbers.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(fastrand::Rng::with_seed(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(purpose)))
    }

    /// From 0 up to, but not including, 1.
    pub fn share(&mut self) -> f64 {
        self.0.f64()
    }

    /// Exponentially distributed.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -ln(1.0 - self.share()) * mean
    }
}

/// The natural logarithm, from the four basic operations alone: those of system libraries differ in the last digit from
/// system to system, and with it everything that is drawn.
///
/// ```
/// assert_eq!(pool_lab::ln(1.0), 0.0);
/// ```
pub fn ln(x: f64) -> f64 {
    const SQRT_2: f64 = std::f64::consts::SQRT_2;
    let (mut x, mut twos) = (x, 0.0);
    while x > SQRT_2 {
        x /= 2.0;
        twos += 1.0;
    }
    while x < SQRT_2 / 2.0 {
        x *= 2.0;
        twos -= 1.0;
    }
    // The series of the inverse hyperbolic tangent, with |z| below 0.18.
    let z = (x - 1.0) / (x + 1.0);
    let series = (0..12).rev().fold(0.0, |sum, n| sum * z * z + 1.0 / f64::from(2 * n + 1));
    2.0 * z * series + twos * std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_is_right_to_the_last_digits() {
        for x in [1e-12, 0.01, 0.5, 0.7, 1.0, 1.3, 2.0, 100.0] {
            assert!((ln(x) - x.ln()).abs() <= 1e-14 * x.ln().abs().max(1.0), "{x}: {} for {}", ln(x), x.ln());
        }
    }

    #[test]
    fn exponential_draws_have_their_mean_and_variance() {
        let mut draws = Draws::new(1, 0);
        let drawn: Vec<f64> = (0..100_000).map(|_| draws.exponential(100.0)).collect();
        let mean = drawn.iter().sum::<f64>() / drawn.len() as f64;
        let variance = drawn.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / drawn.len() as f64;
        assert!((mean - 100.0).abs() < 1.5, "{mean}");
        assert!((variance.sqrt() - 100.0).abs() < 2.0, "{}", variance.sqrt());
    }
}
