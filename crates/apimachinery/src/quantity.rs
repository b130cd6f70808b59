//! Resource quantities (`100m`, `1Gi`, `2e3`): exact, compared by value, printed canonically.

use std::{
    cmp::Ordering,
    fmt,
    ops::{Add, Neg, Sub},
    str::FromStr,
};

/// How a quantity prints: the family of the suffix it was read with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `n u m (none) k M G T P E`
    DecimalSi,
    /// `Ki Mi Gi Ti Pi Ei`
    BinarySi,
    /// `e3`, `E6`
    DecimalExponent,
}

/// A fixed-point number in units of 10⁻⁹ with the format it prints in.
///
/// Values finer than a nano are rounded up, as upstream does; values beyond ±2⁶³ are capped there.
#[derive(Debug, Clone, Copy)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Upstream's message for a string that is no quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The whole does not fit the syntax.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number part is not a number.
    #[error("unable to parse numeric part of quantity")]
    Numeric,
    /// The suffix is none of the known ones.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

const NANO: i128 = 1_000_000_000;
const MAX: i128 = i64::MAX as i128 * NANO;
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];
const BINARY: [(&str, u32); 7] =
    [("", 0), ("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];

impl Quantity {
    /// Zero, printed as `0`.
    pub const ZERO: Self = Self { nanos: 0, format: Format::DecimalSi };

    /// A whole number.
    pub fn from_value(value: i64, format: Format) -> Self {
        Self { nanos: i128::from(value) * NANO, format }
    }

    /// A number of thousandths, as CPU is counted.
    pub fn from_milli(milli: i64) -> Self {
        Self { nanos: i128::from(milli) * 1_000_000, format: Format::DecimalSi }
    }

    /// The value rounded up to a whole number (upstream `Value()`).
    pub fn value(&self) -> i64 {
        clamp(ceil_div(self.nanos, NANO))
    }

    /// The value in thousandths, rounded up (upstream `MilliValue()`).
    pub fn milli_value(&self) -> i64 {
        clamp(ceil_div(self.nanos, 1_000_000))
    }

    /// The value as the closest floating-point number.
    pub fn as_f64(&self) -> f64 {
        self.nanos as f64 / NANO as f64
    }

    /// The family of suffixes it prints with.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.nanos == 0
    }

    /// -1, 0 or 1.
    pub fn sign(&self) -> i32 {
        self.nanos.signum() as i32
    }

    /// Whether it is a whole number.
    pub fn is_whole(&self) -> bool {
        self.nanos % NANO == 0
    }
}

impl Add for Quantity {
    type Output = Self;

    /// The sum; it prints in the format of `self`, unless that is zero.
    fn add(self, other: Self) -> Self {
        let format = if self.is_zero() { other.format } else { self.format };
        Self { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), format }
    }
}

impl Neg for Quantity {
    type Output = Self;

    fn neg(self) -> Self {
        Self { nanos: -self.nanos, format: self.format }
    }
}

impl Sub for Quantity {
    type Output = Self;

    /// The difference; it prints in the format of `self`, unless that is zero.
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

fn ceil_div(number: i128, by: i128) -> i128 {
    number.div_euclid(by) + i128::from(number.rem_euclid(by) != 0)
}

fn clamp(number: i128) -> i64 {
    number.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}
impl Eq for Quantity {}
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl FromStr for Quantity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
            None => return Err(ParseError::Format),
        };
        let number_end =
            unsigned.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(number_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseError::Format);
        }
        let (format, scale) = scale_of(suffix)?;
        let nanos = scaled(whole, fraction, scale);
        Ok(Self { nanos: if negative { -nanos } else { nanos }, format })
    }
}

enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale_of(suffix: &str) -> Result<(Format, Scale), ParseError> {
    if let Some((_, exponent)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok((Format::DecimalSi, Scale::Ten(*exponent)));
    }
    if let Some((_, bits)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok((Format::BinarySi, Scale::Two(*bits)));
    }
    let exponent = suffix.strip_prefix(['e', 'E']).ok_or(ParseError::Suffix)?;
    let exponent: i32 = exponent.parse().map_err(|_| ParseError::Suffix)?;
    Ok((Format::DecimalExponent, Scale::Ten(exponent)))
}

/// `whole.fraction` times the scale, in nanos, rounded up and capped. Digits are bounded before they are
/// multiplied, so no input overflows.
fn scaled(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    if whole.is_empty() && fraction.is_empty() {
        return 0;
    }
    let (power, factor) = match scale {
        Scale::Ten(exponent) => (exponent.clamp(-64, 64), 1_i128),
        Scale::Two(bits) => (0, 1_i128 << bits),
    };
    // The digits as one integer times 10^exponent, the exponent counted in nanos.
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|digit| digit - b'0').collect();
    let exponent = power + 9 - fraction.len().min(1 << 20) as i32;
    let kept = digits.len().min(30);
    let mut lost = digits[kept..].iter().any(|digit| *digit != 0);
    let mut value = digits[..kept].iter().fold(0_i128, |value, digit| value * 10 + i128::from(*digit));
    let mut exponent = exponent + (digits.len() - kept) as i32;
    if factor > 1 {
        // 2^60 times 30 digits could overflow: divide first where the number is that large.
        while value > i128::MAX / factor {
            lost |= value % 10 != 0;
            value /= 10;
            exponent += 1;
        }
        value *= factor;
    }
    while exponent > 0 && value <= MAX {
        value *= 10;
        exponent -= 1;
    }
    while exponent < 0 && value > 0 {
        lost |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    (value + i128::from(lost)).min(MAX)
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that loses nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let small = self.nanos.abs() < 1024 * NANO;
        match self.format {
            // What is not whole would lose by these suffixes.
            Format::BinarySi if !small && self.is_whole() => {
                let mut value = self.nanos / NANO;
                let mut step = 0;
                while step + 1 < BINARY.len() && value % 1024 == 0 {
                    value /= 1024;
                    step += 1;
                }
                write!(f, "{value}{}", BINARY[step].0)
            }
            Format::DecimalSi | Format::BinarySi => {
                let (value, step) = self.thousands(DECIMAL.len() - 1);
                write!(f, "{value}{}", DECIMAL[step].0)
            }
            Format::DecimalExponent => {
                let (value, step) = self.thousands(usize::MAX);
                match step as i32 * 3 - 9 {
                    0 => write!(f, "{value}"),
                    exponent => write!(f, "{value}e{exponent}"),
                }
            }
        }
    }
}

impl Quantity {
    fn thousands(&self, most: usize) -> (i128, usize) {
        let (mut value, mut step) = (self.nanos, 0);
        while step < most && value % 1000 == 0 {
            value /= 1000;
            step += 1;
        }
        (value, step)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, canonical: &str) {
        let quantity: Quantity = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(quantity.to_string(), canonical, "{text}");
        assert_eq!(canonical.parse::<Quantity>().unwrap(), quantity);
    }

    #[test]
    fn canonical_forms() {
        for (text, canonical) in [
            ("0", "0"),
            ("0.5", "500m"),
            ("1.5", "1500m"),
            ("100m", "100m"),
            ("1000m", "1"),
            ("1000", "1k"),
            ("1024", "1024"),
            ("1Ki", "1Ki"),
            ("1024Ki", "1Mi"),
            ("1.5Gi", "1536Mi"),
            ("512Ki", "512Ki"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("1.0005Ki", "1024512m"),
            ("1e3", "1e3"),
            ("12e6", "12e6"),
            ("1E", "1E"),
            ("-2Gi", "-2Gi"),
            ("+3", "3"),
            (".5", "500m"),
            ("5.", "5"),
            ("100u", "100u"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("128974848", "128974848"),
            ("129e6", "129e6"),
            ("129M", "129M"),
        ] {
            check(text, canonical);
        }
    }

    #[test]
    fn values_round_up() {
        let of = |text: &str| text.parse::<Quantity>().unwrap();
        assert_eq!(of("100m").value(), 1);
        assert_eq!(of("-100m").value(), 0);
        assert_eq!(of("1500m").milli_value(), 1500);
        assert_eq!(of("2Ki").value(), 2048);
        assert!(of("1Gi") > of("1G"));
        assert_eq!((of("1Gi") + of("1Gi")).to_string(), "2Gi");
        assert_eq!((of("1") - of("250m")).to_string(), "750m");
    }

    #[test]
    fn nothing_overflows() {
        for huge in ["9e999999", "99999999999999999999999999999999999999999999Ei", "1e-99999999"] {
            if let Ok(quantity) = huge.parse::<Quantity>() {
                assert!(quantity.value() >= 0);
            }
        }
    }

    #[test]
    fn malformed_quantities_are_refused() {
        for bad in ["", "-", "1x", "1.2.3", "Ki", "1 Gi", "1ki", "e3", "1e"] {
            assert!(bad.parse::<Quantity>().is_err(), "{bad}");
        }
    }
}
